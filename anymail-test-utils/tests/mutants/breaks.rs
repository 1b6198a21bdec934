//! [`Mutant`]: a name, what is broken, and the trials that are meant for it.

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

/// Where it is broken.
#[derive(Clone, Copy)]
pub enum Break {
    Nowhere,
    /// In the JSON of each mail.
    Mail(fn(&mut Map<String, Value>, &Message)),
    /// In which mails make up a call.
    Call(fn(Vec<Value>) -> Vec<Value>),
    /// In what is read of an answer's JSON.
    Answer(fn(Value) -> Value),
    /// In what is made of a call that failed.
    Error(fn(SendError) -> SendError),
    /// In one message's result.
    Result(fn(&PreparedMessage, SendResult) -> SendResult),
    /// In the results of a call.
    Results(fn(Vec<SendResult>) -> Vec<SendResult>),
    /// In what it says it can do, once the suite has looked.
    Capabilities(fn(&Capabilities) -> Capabilities),
    /// In what it reads of a webhook's request.
    Events(fn(&Request<Bytes>, ReadResult) -> ReadResult),
    /// In how it verifies a signature.
    Signature(Forgery),
    /// In the backend's own workings.
    Own(Own),
}

/// What no function can be put in the place of.
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

/// What a careless verifier lets in, or dies of.
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

/// Changes a text of the mail.
pub fn edit(mail: &mut Map<String, Value>, name: &str, change: impl Fn(&str) -> String) {
    if let Some(Value::String(text)) = mail.get_mut(name) {
        *text = change(text);
    }
}
