//! A running sandbox, and a server that keeps what is delivered to it.

use serde_json::Value;
use tokio::{net::TcpListener, sync::oneshot};
use url::Url;
use voxanne_http::{Http, Limits, Method};
use voxanne_kernel::Timestamp;
use voxanne_messaging::providers::EventRequest;
use voxanne_sandbox::Options;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use crate::wire::{Control, Wire};

/// Both; they stop when it is dropped.
pub struct World {
    base: String,
    http: Http,
    receiver: MockServer,
    webhook: String,
    _stop: oneshot::Sender<()>,
}

impl World {
    /// A new sandbox, arranged for `wire`.
    pub async fn start(wire: &dyn Wire) -> Self {
        ready();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let options = Options { seed: Some(1), ..Options::default() };
        tokio::spawn(voxanne_sandbox::serve(listener, options, async move {
            stopped.await.ok();
        }));
        let receiver = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&receiver).await;
        let webhook = format!("{}/webhooks/messaging/{}/t0ken", receiver.uri(), wire.name());
        let http = Http::new("sandbox", Limits::default()).unwrap();
        let world = Self { base, http, receiver, webhook, _stop: stop };
        for control in wire.arrange(&world.webhook) {
            world.control(&control).await;
        }
        world
    }

    /// Where the provider is.
    pub fn base(&self, wire: &dyn Wire) -> String {
        format!("{}/{}", self.base, wire.name())
    }

    /// Where providers report to.
    pub fn webhook(&self) -> Url {
        self.webhook.parse().unwrap()
    }

    /// Does something to the sandbox.
    pub async fn control(&self, control: &Control) -> Value {
        let url = format!("{}/_sandbox{}", self.base, control.path);
        let request = self.http.request(control.method.clone(), url).json(&control.body);
        let answer = self.http.write("control", request).await.unwrap();
        let said = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(answer.status().is_success(), "{control:?}: {} {said}", answer.status());
        serde_json::from_str(&said).unwrap_or(Value::Null)
    }

    async fn look(&self, path: &str) -> Value {
        let request = self.http.request(Method::GET, format!("{}/_sandbox{path}", self.base));
        self.http.read("look", request).await.unwrap().json().unwrap()
    }

    /// What the sandbox holds of the provider.
    pub async fn state(&self, wire: &dyn Wire) -> Value {
        self.look("/state").await["providers"][wire.name()].clone()
    }

    /// The provider's ids of the messages it has taken.
    pub async fn held(&self, wire: &dyn Wire) -> Vec<String> {
        wire.held(&self.state(wire).await)
    }

    /// The sandbox's time.
    pub async fn now(&self) -> Timestamp {
        self.look("/clock").await["now"].as_str().unwrap().parse().unwrap()
    }

    /// What was delivered so far, as a server would hand it on.
    pub async fn delivered(&self) -> Vec<EventRequest> {
        let received_at = self.now().await;
        let requests = self.receiver.received_requests().await.unwrap();
        let given = |request: wiremock::Request| {
            let query = request.url.query().map_or_else(String::new, |query| format!("?{query}"));
            EventRequest {
                url: format!("{}{}{query}", self.receiver.uri(), request.url.path()),
                headers: request
                    .headers
                    .iter()
                    .map(|(name, value)| {
                        (name.as_str().to_lowercase(), value.to_str().unwrap_or_default().to_owned())
                    })
                    .collect(),
                body: request.body,
                received_at,
            }
        };
        requests.into_iter().map(given).collect()
    }
}

/// The process speaks TLS with one library; tests that run beside each other choose it once.
pub(crate) fn ready() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
}
