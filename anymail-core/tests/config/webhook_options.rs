//! Mailers that share their webhooks, and webhooks that were not compiled in.

use super::*;

/// An ESP whose webhooks need an option of every type, or that was compiled without webhooks.
#[derive(Debug)]
struct PickyFactory {
    unavailable: Option<&'static str>,
    made: Arc<Mutex<usize>>,
}

impl BackendFactory for PickyFactory {
    fn name(&self) -> &str {
        "picky"
    }

    fn options(&self) -> &[OptionSpec] {
        &[]
    }

    fn webhook_options(&self) -> &[OptionSpec] {
        const OPTIONS: [OptionSpec; 6] = [
            OptionSpec::text("webhook_text", ""),
            OptionSpec::secret("webhook_key", ""),
            OptionSpec::flag("webhook_flag", ""),
            OptionSpec::integer("webhook_integer", ""),
            OptionSpec::seconds("webhook_seconds", ""),
            OptionSpec::list("webhook_list", ""),
        ];
        &OPTIONS
    }

    fn webhooks(&self, options: &Options) -> Result<Vec<Arc<dyn Webhook>>, Vec<OptionFault>> {
        *self.made.lock().unwrap() += 1;
        let hook = Hook::new("picky", "tracking", options.webhook_auth());
        Ok(vec![Arc::new(hook)])
    }

    fn webhooks_unavailable(&self) -> Option<&str> {
        self.unavailable
    }

    fn build(&self, _: &Options) -> Result<Arc<dyn EmailBackend>, Vec<OptionFault>> {
        Ok(Arc::new(Scripted::new("picky")))
    }
}

#[test]
fn mailers_with_the_same_options_share_their_webhooks_and_others_do_not() {
    let same = r#"webhook_text = "a", webhook_key = "a", webhook_flag = true, webhook_integer = 1,
        webhook_seconds = 1, webhook_list = ["a"]"#;
    let mut others = vec![
        (same.replace("webhook_text = \"a\", ", ""), 2),
        (same.to_owned(), 1),
    ];
    for (name, value, other) in [
        ("text", "\"a\"", "\"b\""),
        ("key", "\"a\"", "\"b\""),
        ("flag", "true", "false"),
        ("integer", "1", "2"),
        ("seconds", "1", "2"),
        ("list", "[\"a\"]", "[\"a\", \"b\"]"),
    ] {
        let changed = same.replace(
            &format!("webhook_{name} = {value}"),
            &format!("webhook_{name} = {other}"),
        );
        assert_ne!(changed, same);
        others.push((changed, 2));
    }
    for (other, expected) in others {
        let made = Arc::default();
        let registry = Registry::new().with(PickyFactory {
            unavailable: None,
            made: Arc::clone(&made),
        });
        let config = format!(
            "default = \"a\"\nwebhook_secret = \"user:a\"\n\
             mailers.a.backend = \"picky\"\nmailers.b.backend = \"picky\"\n\
             mailers.a.options = {{ {} }}\nmailers.b.options = {{ {} }}\n",
            same.replace('\n', ""),
            other.replace('\n', "")
        );
        toml(&config).build_in(&no_env(), &registry).unwrap();
        assert_eq!(*made.lock().unwrap(), expected, "{other}");
    }
}

#[test]
fn requesting_webhooks_that_were_not_compiled_in_is_an_error() {
    let registry = Registry::new().with(PickyFactory {
        unavailable: Some("turn on the feature `webhooks` of anymail-picky"),
        made: Arc::default(),
    });
    let config = toml(
        r#"
        default = "a"
        mailers.a.backend = "picky"
        mailers.b = { backend = "failover", options = { members = ["a"] } }
        "#,
    );
    let mailers = config.build_in(&no_env(), &registry).unwrap();
    assert_eq!(
        faults(mailers.webhooks()),
        [
            "mailers.a.backend: picky was compiled without webhooks: turn on the feature \
             `webhooks` of anymail-picky"
        ]
    );
}
