//! [`AddressInput`]: the argument type of builder methods that take addresses.
//!
//! `address_parser.rs` parses it.

use super::Address;

/// Addresses as a caller has them: strings that contain one or several, or parsed [`Address`]es.
///
/// ```
/// use anymail_core::{Address, Message};
///
/// let ann: Address = "ann@example.com".parse()?;
/// let message = Message::builder()
///     .from("shop@example.com")
///     .to("\"Doe, Bob\" <bob@example.com>, eve@example.com")
///     .cc(["dan@example.com", "zoe@example.com"])
///     .bcc(&ann)
///     .reply_to(vec![ann.clone()])
///     .text_body("There.")
///     .build()?;
/// assert_eq!(message.recipients().count(), 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct AddressInput(pub(super) Input);

#[derive(Debug, Clone)]
pub(super) enum Input {
    /// As users type them. Each string is parsed separately.
    Texts(Vec<String>),
    /// Already parsed.
    Parsed(Vec<Address>),
}

impl From<&str> for AddressInput {
    fn from(text: &str) -> Self {
        Self(Input::Texts(vec![text.to_owned()]))
    }
}

impl From<String> for AddressInput {
    fn from(text: String) -> Self {
        Self(Input::Texts(vec![text]))
    }
}

impl From<&String> for AddressInput {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl<S: AsRef<str>> From<&[S]> for AddressInput {
    fn from(texts: &[S]) -> Self {
        Self(Input::Texts(
            texts.iter().map(|text| text.as_ref().to_owned()).collect(),
        ))
    }
}

impl<S: AsRef<str>> From<&Vec<S>> for AddressInput {
    fn from(texts: &Vec<S>) -> Self {
        texts.as_slice().into()
    }
}

impl<S: AsRef<str>> From<Vec<S>> for AddressInput {
    fn from(texts: Vec<S>) -> Self {
        texts.as_slice().into()
    }
}

impl<S: AsRef<str>, const N: usize> From<[S; N]> for AddressInput {
    fn from(texts: [S; N]) -> Self {
        texts.as_slice().into()
    }
}

impl From<Address> for AddressInput {
    fn from(address: Address) -> Self {
        Self(Input::Parsed(vec![address]))
    }
}

impl From<&Address> for AddressInput {
    fn from(address: &Address) -> Self {
        address.clone().into()
    }
}

impl From<Vec<Address>> for AddressInput {
    fn from(addresses: Vec<Address>) -> Self {
        Self(Input::Parsed(addresses))
    }
}

impl From<&[Address]> for AddressInput {
    fn from(addresses: &[Address]) -> Self {
        addresses.to_vec().into()
    }
}

#[cfg(test)]
mod tests {
    use crate::message::Message;

    #[test]
    fn each_entry_of_a_list_is_parsed_separately_and_every_fault_is_reported() {
        let message = Message::builder()
            .from(["ann@example.com", "bob@example.com"])
            .to(["\"Doe", "Ann\" <ann@example.com>", "eve@example.com"])
            .build();
        let error = message.unwrap_err();
        let fields: Vec<_> = error.faults().iter().map(|fault| fault.field()).collect();
        assert_eq!(fields, ["from", "to", "to"], "{error}");
    }
}
