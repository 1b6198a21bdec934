//! Guides. This module contains no code.

#[doc = include_str!("../docs/coming_from_django_anymail.md")]
pub mod coming_from_django_anymail {}
