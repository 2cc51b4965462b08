//! Calls that only have to arrive: the other end hears a pause and the call is over.

use async_trait::async_trait;
use serde::Deserialize;
use voxanne_http::Method;
use voxanne_kernel::{E164, ProviderError};
use voxanne_telephony::hybrid::ports::{LineAccount, TestCaller};

use crate::{
    caller_ids::{failed, login},
    client::TwilioClient,
    refusal::success,
    wire::filled,
};

/// Silence for as long as an answering assistant needs to be noticed.
const TWIML: &str = "<Response><Pause length=\"5\"/><Hangup/></Response>";
/// How long it rings: long enough for every forwarding on no answer.
const RING_SECONDS: &str = "50";
/// How long it lasts once it is answered.
const TALK_SECONDS: &str = "15";

#[derive(Deserialize)]
struct Call {
    #[serde(default, deserialize_with = "filled")]
    sid: Option<String>,
}

#[async_trait]
impl TestCaller for TwilioClient {
    async fn call(&self, account: &LineAccount, from: &E164, to: &E164) -> Result<String, ProviderError> {
        let login = login(account)?;
        let form = [
            ("To", to.as_str()),
            ("From", from.as_str()),
            ("Twiml", TWIML),
            ("Timeout", RING_SECONDS),
            ("TimeLimit", TALK_SECONDS),
        ];
        let path = format!("{}/Calls.json", login.account.path());
        let answer = self.change("create_call", &login, (Method::POST, &path), &form).await?;
        let call: Call = success(answer).map_err(failed)?.json()?;
        call.sid.ok_or_else(|| ProviderError::Unclear("the call has no name".into()))
    }
}
