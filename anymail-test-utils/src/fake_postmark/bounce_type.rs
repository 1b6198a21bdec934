//! [`BounceType`]: Postmark's bounce types as a table.
//!
//! Codes, names and descriptions come from Postmark's bounce API. It is known that hard bounces and
//! complaints make an address inactive; for all other types this is inferred.

/// Postmark's bounce types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BounceType {
    /// The mailbox does not exist. The address becomes inactive.
    HardBounce,
    /// Delivery is delayed.
    Transient,
    /// The recipient asked to be unsubscribed.
    Unsubscribe,
    /// The recipient asked to be subscribed.
    Subscribe,
    /// An automatic reply, such as an out-of-office message.
    AutoResponder,
    /// The recipient has a new address.
    AddressChange,
    /// The DNS lookup of the domain failed.
    DnsError,
    /// The message was delivered and classified as spam.
    SpamNotification,
    /// An open relay test.
    OpenRelayTest,
    /// Postmark could not classify the bounce.
    Unknown,
    /// A temporary failure, such as a full mailbox.
    SoftBounce,
    /// A virus scanner reported the message.
    VirusNotification,
    /// The recipient's system requires proof that a person sent the message.
    ChallengeVerification,
    /// The address is invalid. It becomes inactive.
    BadEmailAddress,
    /// The recipient marked the message as spam. The address becomes inactive permanently.
    SpamComplaint,
    /// The server's owner deactivated the address.
    ManuallyDeactivated,
    /// The recipient never confirmed a subscription.
    Unconfirmed,
    /// The recipient's provider blocks the sender.
    Blocked,
    /// A message over SMTP was not accepted.
    SmtpApiError,
    /// An inbound message could not be posted to the inbound webhook.
    InboundError,
    /// The sender's DMARC policy forbids the message.
    DmarcPolicy,
    /// The template could not be rendered.
    TemplateRenderingFailed,
}

/// What Postmark's API says about a bounce type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// `Type` in JSON.
    pub(super) id: &'static str,
    /// `TypeCode` in JSON.
    pub(super) code: i64,
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    /// Whether the address becomes inactive.
    pub(super) inactive: bool,
    /// Whether it can be made active again.
    pub(super) can_activate: bool,
}

macro_rules! rows {
    ($($kind:ident $id:literal $code:literal $name:literal $inactive:literal $can_activate:literal $description:literal;)*) => {
        impl BounceType {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            pub(super) fn row(self) -> Row {
                match self {
                    $(Self::$kind => Row {
                        id: $id,
                        code: $code,
                        name: $name,
                        description: $description,
                        inactive: $inactive,
                        can_activate: $can_activate,
                    }),*
                }
            }
        }
    };
}

// Kind, Type, TypeCode, Name, whether the address becomes inactive, whether it can be made
// active again, Description (spelt as on the wire).
rows! {
    HardBounce "HardBounce" 1 "Hard bounce" true true "The server was unable to deliver your message (ex: unknown user, mailbox not found).";
    Transient "Transient" 2 "Message delayed" false true "The server could not temporarily deliver your message (ex: Message is delayed due to network troubles).";
    Unsubscribe "Unsubscribe" 16 "Unsubscribe request" false true "Unsubscribe or Remove request.";
    Subscribe "Subscribe" 32 "Subscribe request" false true "Subscribe request from someone wanting to get added to the mailing list.";
    AutoResponder "AutoResponder" 64 "Auto responder" false true "Automatic email responder (ex: \"Out of Office\" or \"On Vacation\").";
    AddressChange "AddressChange" 128 "Address change" false true "The recipient has requested an address change.";
    DnsError "DnsError" 256 "DNS error" false true "A temporary DNS error.";
    SpamNotification "SpamNotification" 512 "Spam notification" false true "The message was delivered, but was either blocked by the user, or classified as spam, bulk mail, or had rejected content.";
    OpenRelayTest "OpenRelayTest" 1024 "Open relay test" false true "The NDR is actually a test email message to see if the mail server is an open relay.";
    Unknown "Unknown" 2048 "Unknown" false true "Unable to classify the NDR.";
    SoftBounce "SoftBounce" 4096 "Soft bounce" false true "Unable to temporarily deliver message (i.e. mailbox full, account disabled, exceeds quota, out of disk space).";
    VirusNotification "VirusNotification" 8192 "Virus notification" false true "The bounce is actually a virus notification warning about a virus/code infected message.";
    ChallengeVerification "ChallengeVerification" 16384 "Spam challenge verification" false true "The bounce is a challenge asking for verification you actually sent the email. Typcial challenges are made by Spam Arrest, or MailFrontier Matador.";
    BadEmailAddress "BadEmailAddress" 100000 "Invalid email address" true true "The address is not a valid email address.";
    SpamComplaint "SpamComplaint" 100001 "Spam complaint" true false "The subscriber explicitly marked this message as spam.";
    ManuallyDeactivated "ManuallyDeactivated" 100002 "Manually deactivated" true true "The email was manually deactivated.";
    Unconfirmed "Unconfirmed" 100003 "Registration not confirmed" false true "The subscriber has not clicked on the confirmation link upon registration or import.";
    Blocked "Blocked" 100006 "ISP block" false true "Blocked from this ISP due to content or blacklisting.";
    SmtpApiError "SMTPApiError" 100007 "SMTP API error" false false "An error occurred while accepting an email through the SMTP API.";
    InboundError "InboundError" 100008 "Processing failed" false false "Unable to deliver inbound message to destination inbound hook.";
    DmarcPolicy "DMARCPolicy" 100009 "DMARC Policy" false true "Email rejected due DMARC Policy.";
    TemplateRenderingFailed "TemplateRenderingFailed" 100010 "Template rendering failed" false false "An error occurred while attempting to render your template.";
}

impl BounceType {
    /// The name in JSON: `HardBounce`.
    pub fn as_str(self) -> &'static str {
        self.row().id
    }

    /// The kind with this name, in any case and with or without separators: `hard_bounce`.
    pub fn parse(name: &str) -> Option<Self> {
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let same = |kind: &&Self| kind.as_str().eq_ignore_ascii_case(&name);
        Self::ALL.iter().find(same).copied()
    }
}
