//! Tests of templates and their output.

use super::*;

fn render(template: &str) -> String {
    let model = json!({
        "person": {"first_name": "Ann <b>", "pet": {"name": "Rex"}},
        "company": "ACME",
        "employees": [{"name": "W"}, {"name": "R", "boss": true}],
        "names": ["x", "y"],
        "yes": true, "no": false, "zero": 0, "empty": "", "nothing": [], "null": null,
        "half": 1.5, "one": 1.0, "n": 7,
    });
    compile(template, true).unwrap().render(&model).unwrap()
}

#[test]
fn renders_values_blocks_and_lists() {
    for (template, expected) in [
        ("Dear {{ person.first_name }}!\n", "Dear Ann &lt;b&gt;!\n"),
        (
            "{{{person.first_name}}}{{& person.first_name}}",
            "Ann <b>Ann <b>",
        ),
        ("{{#person}}{{first_name}}{{/person}}", "Ann &lt;b&gt;"),
        ("{{#each employees}}<{{name}}>{{/each}}", "<W><R>"),
        ("{{#each names}}{{.}},{{/each}}", "x,y,"),
        (
            "{{#each employees}}{{name}}@{{../../company}} {{/each}}",
            "W@ACME R@ACME ",
        ),
        (
            "{{#each employees}}{{name}}{{#boss}}!{{/boss}}{{/each}}",
            "WR!",
        ),
        ("{{#each person.pet.no}}x{{/each}}", ""),
        (
            "{{#person.pet}}{{name}} of {{../first_name}}{{/person.pet}}",
            "Rex of Ann &lt;b&gt;",
        ),
        ("{{../../company}}", "ACME"),
        (
            "{{missing}}{{missing.too}}{{null}}|{{person}}{{names}}",
            "|",
        ),
        (
            "{{yes}} {{no}} {{half}} {{one}} {{n}}",
            "True False 1.5 1 7",
        ),
        (
            "{{#names}}some{{/names}}{{^nothing}}none{{/nothing}}",
            "somenone",
        ),
        ("{{#yes}}y{{^yes}}n{{/yes}}{{#no}}y{{^no}}n{{/no}}", "yn"),
        (
            "{{^zero}}0{{/zero}}{{^empty}}e{{/empty}}{{^null}}n{{/null}}",
            "0en",
        ),
        ("a{{! no\ncomment }}b", "ab"),
        (
            "{ {{{}}} {{ {% if %} {# {{}} \"'\\ }}",
            "{ {{{}}} {{ {% if %} {# {{}} \"'\\ }}",
        ),
    ] {
        assert_eq!(render(template), expected, "{template}");
    }
}

#[test]
fn text_is_not_escaped() {
    let template = compile("{{a}}", false).unwrap();
    assert_eq!(template.render(&json!({"a": "<&>"})).unwrap(), "<&>");
}

#[test]
fn all_faults_are_reported_at_once_with_their_places() {
    let source = "{{#a}}\n {{/b}}{{user-name}}\n{{#each}}{{#each x}}{{/each}}";
    let faults = compile(source, true).unwrap_err();
    let places: Vec<_> = faults.iter().map(|f| (f.line, f.character)).collect();
    assert_eq!(places, [(2, 2), (2, 8), (3, 1), (1, 1)]);
    for bad in [
        "{{@content}}",
        "{{a..b}}",
        "{{a/b}}",
        "{{/each}}",
        "{{#each a}}{{/a}}",
        "{{# }}",
    ] {
        assert!(compile(bad, true).is_err(), "{bad}");
    }
}

#[test]
fn a_value_that_is_not_a_list_is_a_fault_of_the_model() {
    let template = compile("{{#each a}}x{{/each}}", true).unwrap();
    let words = template.render(&json!({"a": {"b": 1}})).unwrap_err();
    assert_eq!(
        words,
        "'a' is used as a list but is not a list in the model"
    );
    assert_eq!(template.render(&json!({"a": null})).unwrap(), "");
}

#[test]
fn the_model_is_guessed_from_its_use() {
    let source = "{{name}}{{#each p.list}}{{x.y}}{{../../z}}{{/each}}{{#c}}{{d}}{{/c}}{{^e}}{{/e}}{{#each l}}{{.}}{{/each}}";
    let expected = json!({
        "name": "name_Value",
        "p": {"list": [{"x": {"y": "y_Value"}}], "z": "z_Value"},
        "c": {"d": "d_Value"},
        "e": "e_Value",
        "l": ["l_Value"],
    });
    assert_eq!(compile(source, true).unwrap().model, expected);
}

#[test]
fn a_layout_has_one_place_for_its_content() {
    let layout = "<a>{{{ @content }}}</a>";
    assert_eq!(insert_content(layout, "{{x}}").unwrap(), "<a>{{x}}</a>");
    assert_eq!(insert_content("{{@content}}", "x"), None);
    assert_eq!(insert_content("{{{@content}}}{{{@content}}}", "x"), None);
}

#[test]
fn excessive_nesting_is_a_fault_and_no_stack_overflow() {
    let blocks = |open: &str, close: &str, n: usize| open.repeat(n) + &close.repeat(n);
    assert!(compile(&blocks("{{#each l}}", "{{/each}}", 40), true).is_ok());
    for n in [101, 10_000] {
        let path = vec!["a"; n].join(".");
        for source in [
            blocks("{{#each l}}", "{{/each}}", n),
            blocks("{{#each .}}", "{{/each}}", n),
            format!("{{{{{path}}}}}"),
            format!("{{{{#{path}}}}}{{{{/{path}}}}}"),
        ] {
            let faults = compile(&source, true).unwrap_err();
            assert!(
                faults
                    .iter()
                    .all(|fault| fault.message.contains("too deeply"))
            );
        }
    }
}
