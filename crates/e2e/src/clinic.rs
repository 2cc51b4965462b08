//! A clinic as a client knows it.

use anyhow::Context;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::Stack;

/// A signed-up clinic: its owner's token and what the provider needs to call us for it.
#[derive(Debug, Clone)]
pub struct Clinic {
    /// The organization.
    pub org_id: String,
    /// The owner.
    pub user_id: String,
    /// What the owner signs in with.
    pub email: String,
    /// The owner's access token.
    pub token: String,
    /// The owner's refresh token.
    pub refresh_token: String,
    /// The provider's id of the inbound assistant; empty until the line is set up.
    pub assistant_id: String,
    /// The provider's id of the number.
    pub number_id: String,
    /// The number.
    pub number: String,
    /// What the provider signs with.
    pub secret: String,
}

impl Clinic {
    pub(crate) fn new(signed_up: &Value, email: String) -> anyhow::Result<Self> {
        let text = |pointer: &str| {
            let found = signed_up.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            found.with_context(|| format!("{pointer} in {signed_up}"))
        };
        Ok(Self {
            org_id: text("/organization/id")?,
            user_id: text("/user/id")?,
            token: text("/accessToken")?,
            refresh_token: text("/refreshToken")?,
            email,
            assistant_id: String::new(),
            number_id: String::new(),
            number: String::new(),
            secret: String::new(),
        })
    }

    /// A request of the owner to the first server.
    pub fn request(&self, stack: &Stack, method: Method, path: &str) -> RequestBuilder {
        stack.http.request(method, stack.url(path)).bearer_auth(&self.token)
    }

    /// What a GET answers, which must be 200.
    pub async fn get(&self, stack: &Stack, path: &str) -> anyhow::Result<Value> {
        let answer = self.request(stack, Method::GET, path).send().await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        anyhow::ensure!(status.as_u16() == 200, "GET {path} answered {status}: {body}");
        Ok(body)
    }
}
