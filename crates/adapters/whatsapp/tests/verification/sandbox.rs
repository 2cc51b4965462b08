//! The same against the sandbox, which refuses what Meta refuses.

use serde_json::{Value, json};
use tokio::net::TcpListener;
use voxanne_credentials::secrets::Whatsapp;
use voxanne_http::{Http, Limits, Method};
use voxanne_kernel::E164;
use voxanne_whatsapp::WhatsappCloud;

use crate::asking::{BUSINESS, NUMBER, account, verify};

async fn start() -> (String, WhatsappCloud) {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let options = voxanne_sandbox::Options::default();
    tokio::spawn(voxanne_sandbox::serve(listener, options, std::future::pending()));
    let cloud = WhatsappCloud::new(Some(format!("{base}/whatsapp").parse().unwrap())).unwrap();
    (base, cloud)
}

async fn make(base: &str, account: Value) {
    let http = Http::new("sandbox", Limits::default()).unwrap();
    let url = format!("{base}/_sandbox/whatsapp/accounts");
    let made = http.write("make", http.request(Method::POST, url).json(&account)).await.unwrap();
    assert_eq!(made.status().as_u16(), 201, "{}", String::from_utf8_lossy(made.body()));
}

#[tokio::test]
async fn token_number_and_business_have_to_belong_together() {
    let (base, cloud) = start().await;
    assert_eq!(verify(&cloud, &account("EAAsandbox")).await, "verified");
    assert_eq!(verify(&cloud, &account("EAAwrong")).await, "credentials_rejected");
    let wrong_number = Whatsapp { phone_number_id: "1".to_owned(), ..account("EAAsandbox") };
    assert_eq!(verify(&cloud, &wrong_number).await, "number_not_in_account");
    let wrong_business = Whatsapp { business_account_id: "1".to_owned(), ..account("EAAsandbox") };
    // Meta does not say whose the business is, and the number alone is right.
    assert_eq!(verify(&cloud, &wrong_business).await, "verified");
    let wrong_digits = Whatsapp { phone_number: E164::new("+15005550007").ok(), ..account("EAAsandbox") };
    assert_eq!(verify(&cloud, &wrong_digits).await, "number_not_in_account");

    let numbers = json!([{ "id": NUMBER, "displayPhoneNumber": "+1 500-555-0006" }]);
    let with = |token: &str, state: &str| {
        let mut account =
            json!({ "accessToken": token, "businessAccountId": BUSINESS, "phoneNumbers": numbers });
        account[state] = json!(true);
        account
    };
    make(&base, with("EAArestricted", "restricted")).await;
    make(&base, with("EAAexpired", "expired")).await;
    assert_eq!(verify(&cloud, &account("EAArestricted")).await, "restricted");
    assert_eq!(verify(&cloud, &account("EAAexpired")).await, "credentials_rejected");
}

#[tokio::test]
async fn a_number_behind_many_others_is_found() {
    let (base, cloud) = start().await;
    let mut numbers: Vec<_> = (1..=230)
        .map(|id| json!({ "id": id.to_string(), "displayPhoneNumber": "+1 500-555-0001" }))
        .collect();
    numbers.push(json!({ "id": NUMBER, "displayPhoneNumber": "+1 500-555-0006" }));
    let many = json!({ "accessToken": "EAAmany", "businessAccountId": BUSINESS, "phoneNumbers": numbers });
    make(&base, many).await;
    assert_eq!(verify(&cloud, &account("EAAmany")).await, "verified");
}
