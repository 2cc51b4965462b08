//! Recordings, from Vapi's hands.
//!
//! The report names addresses, some of which open for an hour; the API redirects to one that opens now. Wherever an
//! address came from, only these hosts are spoken to: Vapi's own, by TLS and only on the public internet, and those
//! that the configuration names, wherever they are. A redirect to anywhere else is not followed, and our key goes to
//! the API alone.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use url::Url;
use voxanne_calls::recordings::{AudioStream, Download, Interrupted, OpenError, RecordingProvider, Whence};
use voxanne_http::{ClientError, Http, Limits, Method, NotPublic, Reach, RequestBuilder, Streamed, header};

use crate::client::VapiClient;

/// The longest a download may take.
const PATIENCE: Duration = Duration::from_mins(15);
/// More redirects than that lead nowhere.
const REDIRECTS: usize = 5;
/// Vapi's own domain.
const OWN: &str = "vapi.ai";

/// Fetches recordings.
#[derive(Clone)]
pub struct VapiRecordings {
    client: VapiClient,
    /// For hosts of Vapi's own.
    public: Http,
    /// For hosts that the configuration names.
    configured: Http,
    hosts: Arc<[String]>,
}

impl VapiRecordings {
    /// Asks `client`'s API; `hosts` are those that recordings may come from besides Vapi's own.
    ///
    /// # Errors
    /// [`ClientError`] when no TLS is available.
    pub fn new(client: VapiClient, hosts: &[String]) -> Result<Self, ClientError> {
        let limits = Limits { timeout: PATIENCE, ..Limits::default() };
        Ok(Self {
            client,
            public: Http::within("vapi", limits, Reach::Public)?,
            configured: Http::within("vapi", limits, Reach::Anywhere)?,
            hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
        })
    }

    /// Who may speak to `url`, if anybody may.
    fn speaker(&self, url: &Url) -> Option<&Http> {
        let host = url.host_str()?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some()
        {
            return None;
        }
        if self.hosts.iter().any(|known| known == host) {
            return Some(&self.configured);
        }
        let is_own = host == OWN || host.strip_suffix(OWN).is_some_and(|rest| rest.ends_with('.'));
        (is_own && url.scheme() == "https").then_some(&self.public)
    }

    async fn ask(&self, http: &Http, request: RequestBuilder) -> Result<Streamed, OpenError> {
        http.stream("fetch_recording", request).await.map_err(|error| {
            if NotPublic::is_why(&error) {
                OpenError::NotAllowed
            } else {
                OpenError::Unavailable(Box::new(error))
            }
        })
    }
}

#[async_trait]
impl RecordingProvider for VapiRecordings {
    async fn open(&self, whence: Whence<'_>) -> Result<Download, OpenError> {
        let (mut url, mut answer) = match whence {
            Whence::Address(source) => {
                let url = Url::parse(source.as_str()).map_err(|_| OpenError::NotAllowed)?;
                let http = self.speaker(&url).ok_or(OpenError::NotAllowed)?;
                let answer = self.ask(http, http.request(Method::GET, url.clone())).await?;
                (url, answer)
            }
            Whence::Provider(call) => {
                let (url, request) = self.client.recording(&self.configured, call.as_str());
                let answer = self.ask(&self.configured, request).await?;
                (url, answer)
            }
        };
        for _ in 0..REDIRECTS {
            if !answer.status().is_redirection() {
                break;
            }
            let next = answer.header(header::LOCATION.as_str()).and_then(|to| url.join(to).ok());
            url = next.ok_or_else(|| OpenError::Missing("a redirect leads nowhere".into()))?;
            let http = self.speaker(&url).ok_or(OpenError::NotAllowed)?;
            answer = self.ask(http, http.request(Method::GET, url.clone())).await?;
        }
        let status = answer.status();
        // The address stays out of the text: it may open the recording for whoever reads the log.
        match status.as_u16() {
            200..300 => Ok(Download {
                declared: answer.header(header::CONTENT_TYPE.as_str()).map(ToOwned::to_owned),
                length: answer.length(),
                body: Box::new(Body(answer)),
            }),
            408 | 429 | 500.. => Err(OpenError::Unavailable(format!("the answer was {status}").into())),
            _ => Err(OpenError::Missing(format!("the answer was {status}").into())),
        }
    }
}

/// A body as it comes.
struct Body(Streamed);

#[async_trait]
impl AudioStream for Body {
    async fn next(&mut self) -> Result<Option<Bytes>, Interrupted> {
        self.0.chunk().await.map_err(|error| Interrupted::Broken(Box::new(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VapiSettings;

    fn recordings(hosts: &[&str]) -> VapiRecordings {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let client = VapiClient::new(VapiSettings::new(
            "https://api.vapi.ai".parse().unwrap(),
            "key".to_owned().into(),
        ));
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        VapiRecordings::new(client.unwrap(), &hosts).unwrap()
    }

    #[test]
    fn only_the_providers_hosts_are_spoken_to() {
        let fetch = recordings(&["files.example.com", "127.0.0.1", "[::1]"]);
        let check = |url: &str, allowed: bool| {
            assert_eq!(fetch.speaker(&url.parse().unwrap()).is_some(), allowed, "{url}");
        };
        check("https://storage.vapi.ai/x.wav", true);
        check("https://vapi.ai/x.wav", true);
        check("https://api.eu.vapi.ai/x.wav?sig=1", true);
        check("http://files.example.com/x.wav", true);
        check("http://127.0.0.1:9090/vapi/x.wav", true);
        check("http://[::1]:9090/x.wav", true);
        // Not by TLS, not theirs, or theirs only at first sight.
        check("http://storage.vapi.ai/x.wav", false);
        check("https://evil.example/x.wav", false);
        check("https://vapi.ai.evil.example/x.wav", false);
        check("https://evilvapi.ai/x.wav", false);
        check("https://storage.vapi.ai@evil.example/x.wav", false);
        check("https://user:pass@storage.vapi.ai/x.wav", false);
        check("https://other.files.example.com/x.wav", false);
        check("http://127.0.0.2/x.wav", false);
        check("http://localhost/x.wav", false);
        check("http://169.254.169.254/latest", false);
        check("ftp://storage.vapi.ai/x.wav", false);
        check("file:///etc/passwd", false);
    }
}
