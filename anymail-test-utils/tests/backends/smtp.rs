//! The SMTP backend of anymail-core, with the suite's own server and parser.

use std::sync::Arc;

use anymail_core::{EmailBackend, SmtpBackend, SmtpConfig, SmtpTls};
use anymail_test_utils::conformance::{HarnessError, SmtpHarness, SmtpTarget};

pub(crate) struct CoreSmtpHarness;

impl SmtpHarness for CoreSmtpHarness {
    fn backend(&self, target: &SmtpTarget) -> Result<Arc<dyn EmailBackend>, HarnessError> {
        let config = SmtpConfig::new(&*target.host)
            .port(target.port)
            .tls(SmtpTls::None)
            .password(&*target.user, &*target.secret)
            .timeout(target.timeout);
        Ok(Arc::new(SmtpBackend::new(config)?))
    }
}
