//! [`Mutant`]: a name, what is broken, and the trials that must detect it.

use anymail_core::{
    Capabilities, Event, Message, PreparedMessage, SendError, SendStatus, WebhookError,
};
use bytes::Bytes;
use http::Request;
use serde_json::{Map, Value};

/// A backend that is broken in one way.
#[derive(Clone, Copy)]
pub struct Mutant {
    pub name: &'static str,
    pub broken: Break,
    /// The trials that must fail.
    pub caught_by: &'static [&'static str],
}

pub fn mutant(name: &'static str, broken: Break, caught_by: &'static [&'static str]) -> Mutant {
    Mutant {
        name,
        broken,
        caught_by,
    }
}

pub type SendResult = Result<SendStatus, SendError>;
pub type ReadResult = Result<Vec<Event>, WebhookError>;

/// What is broken.
#[derive(Clone, Copy)]
pub enum Break {
    Nowhere,
    /// The JSON of each message.
    Mail(fn(&mut Map<String, Value>, &Message)),
    /// Which messages a call contains.
    Call(fn(Vec<Value>) -> Vec<Value>),
    /// How the JSON of a response is read.
    Response(fn(Value) -> Value),
    /// The error for a failed call.
    Error(fn(SendError) -> SendError),
    /// The result of one message.
    Result(fn(&PreparedMessage, SendResult) -> SendResult),
    /// The results of a call.
    Results(fn(Vec<SendResult>) -> Vec<SendResult>),
    /// The capabilities, after the suite has listed the trials.
    Capabilities(fn(&Capabilities) -> Capabilities),
    /// How a webhook's request is read.
    Events(fn(&Request<Bytes>, ReadResult) -> ReadResult),
    /// How a signature is verified.
    Signature(Forgery),
    /// The backend's internals.
    Own(Own),
}

/// Faults that no function can express.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    HasANameInCapitals,
    ObjectsToEverything,
    ObjectsToNothing,
    ObjectsToNothingButTo,
    AnswersForMaxBatchAsItLikes,
    SendsMoreInACallThanTheEspTakes,
    SaysThatACallTakesMore,
    SendsTheFirstCallOnly,
    MakesACallForEachRecipient,
    RetriesWhateverFailed,
    RetriesWhatWasNotAccepted,
    GivesUpQuickly,
    FollowsRedirects,
    SendsNoKey,
    SendsTheKeyByAnotherScheme,
    SendsTheKeyInTheUrl,
    ReadsAnswersWithoutAnEnd,
    PrintsTheKey,
    TracesTheKey,
    TracesTheRequest,
    PrintsTheRequest,
    QuotesTheRequestInErrors,
    PassesOnTheAnswer,
    DiesOfAnError,
    DiesOfASecondCall,
    DiesOfADroppedFuture,
    SharesARequestBetweenTasks,
    IgnoresWebhookSecrets,
    ParsesWebhooksItself,
    PrintsWebhookSecrets,
    VerifiesAfterReading,
    PrintsTheSigningKey,
    TracesTheSigningKey,
}

/// What a careless verifier accepts or panics on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgery {
    NeverVerifies,
    VerifiesOnlyWhatIsSigned,
    ComparesAPrefix,
    AcceptsAnEmptySignature,
    UsesTheFirstKeyOnly,
    IgnoresTheAge,
    ChecksTheAgeOneWay,
    LeavesOutTheBody,
    DecodesWithoutLooking,
    TakesOtherSpellings,
    LooksForTheHeaderByItsSpelling,
    NeedsNoKey,
    TakesAnEmptyKey,
    ToleratesNoDelay,
}

/// Changes a text of the message.
pub fn edit(mail: &mut Map<String, Value>, name: &str, change: impl Fn(&str) -> String) {
    if let Some(Value::String(text)) = mail.get_mut(name) {
        *text = change(text);
    }
}
