//! A running sandbox and a client for it.

use std::io;
use std::sync::OnceLock;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use voxanne_sandbox::{Options, Outbound, serve};

use crate::contract;

/// A sandbox that stops when it is dropped.
pub(crate) struct Sandbox {
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
    stop: oneshot::Sender<()>,
    running: JoinHandle<io::Result<()>>,
}

pub(crate) const KEY: &str = "test-key";

impl Sandbox {
    /// With a fixed seed, one key, and outbound calls that wait to be played.
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let outbound =
            if options.outbound == Outbound::default() { Outbound::Hold } else { options.outbound };
        let options = Options { seed: Some(1), vapi_keys: vec![KEY.to_owned()], outbound, ..options };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(serve(listener, options, async move {
            stopped.await.ok();
        }));
        Self { base, http: client(), stop, running }
    }

    /// Stops it and waits until it has.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.running.await.unwrap().unwrap();
    }

    /// A request with the key, its answer checked against the official document.
    pub(crate) async fn vapi(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let url = format!("{}/vapi{path}", self.base);
        let mut request = self.http.request(method.clone(), url).bearer_auth(KEY);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let answer: Value = response.json().await.unwrap();
        contract::check(&method, path, status, &answer);
        (status, answer)
    }

    /// Makes an object and returns it.
    pub(crate) async fn make(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.vapi(Method::POST, path, Some(&body)).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.vapi(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// A request to `/_sandbox`.
    pub(crate) async fn control(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let url = format!("{}/_sandbox{path}", self.base);
        let response = self.http.request(method, url).json(&body).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    pub(crate) async fn state(&self) -> Value {
        self.control(Method::GET, "/state", json!(null)).await.1
    }

    /// Plays a script and returns what came of it.
    pub(crate) async fn play(&self, script: Value) -> Value {
        let (status, played) = self.control(Method::POST, "/calls", script).await;
        assert_eq!(status, StatusCode::OK, "{played}");
        played
    }

    pub(crate) async fn raw(&self, method: Method, path: &str) -> reqwest::Result<Response> {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(KEY).send().await
    }
}

fn client() -> reqwest::Client {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    });
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

/// The id of an object.
pub(crate) fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}
