//! Samples of the fleet's last hour.

// An unexpected response fails its test.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use awc::http::StatusCode;
use serde_json::{Value, json};
use support::{Api, Options, api};

/// The samples, once there are any.
async fn samples(api: &Api) -> Vec<Value> {
    loop {
        let (status, history) = api.get("/fleet/history").await;
        assert_eq!(status, StatusCode::OK);
        let samples = history["samples"].as_array().unwrap();
        if !samples.is_empty() {
            return samples.clone();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[actix_web::test]
async fn there_is_a_sample_at_once_and_after_returns_only_newer_ones() {
    let api = api(Options::default()).await;
    let samples = samples(&api).await;
    let [sample] = &samples[..] else { panic!("{samples:?}") };
    assert_eq!(sample["sessions"], json!({"init": 0, "ready": 0, "terminating": 0}));
    assert_eq!((&sample["viewers"], &sample["pools"]["vnc"]), (&json!(0), &Value::Null));
    let (_, history) = api.get("/fleet/history").await;
    let buckets = history["create_seconds"].as_array().unwrap().len() + 1;
    assert_eq!(sample["creates"]["ok"].as_array().unwrap().len(), buckets);

    let newer = api.get(&format!("/fleet/history?after={}", sample["at"].as_str().unwrap())).await;
    assert_eq!((newer.0, &newer.1["samples"]), (StatusCode::OK, &json!([])));
    let (status, refusal) = api.get("/fleet/history?after=yesterday").await;
    assert_eq!((status, &refusal["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("invalid_field")));
    api.stop().await;
}

#[actix_web::test]
async fn a_configured_token_is_required_for_the_samples() {
    let api = api(Options { token: Some("s3cret".into()), ..Options::default() }).await;
    assert_eq!(api.get("/fleet/history").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(api.get("/fleet/history?access_token=s3cret").await.0, StatusCode::OK);
    api.stop().await;
}
