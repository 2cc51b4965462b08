//! A product that takes whatever it is told, and keeps it byte for byte.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::routing::any;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use url::form_urlencoded;

/// What it was told.
pub(crate) struct Told {
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Told {
    /// A header's text; empty without it.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// A field of a form.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let mut fields = form_urlencoded::parse(&self.body);
        fields.find(|(given, _)| given == name).map(|(_, value)| value.into_owned())
    }

    pub(crate) fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// The product, as far as it listens.
pub(crate) struct Receiver {
    pub(crate) base: String,
    told: UnboundedReceiver<Told>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        async fn take(
            State(tell): State<UnboundedSender<Told>>,
            uri: Uri,
            headers: HeaderMap,
            body: Bytes,
        ) -> String {
            // Meta's question is answered by its own words.
            let query: Vec<_> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
                .filter(|(name, _)| name == "hub.challenge")
                .collect();
            let answer = query.first().map_or_else(String::new, |(_, challenge)| challenge.to_string());
            tell.send(Told { uri, headers, body }).unwrap();
            answer
        }
        let (tell, told) = mpsc::unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(any(take)).with_state(tell);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { base, told }
    }

    /// The next thing it is told.
    pub(crate) async fn told(&mut self) -> Told {
        tokio::time::timeout(Duration::from_secs(10), self.told.recv()).await.unwrap().unwrap()
    }

    /// Whether everything it was told was asked for.
    pub(crate) fn is_empty(&mut self) -> bool {
        self.told.try_recv().is_err()
    }
}
