//! Publishes each worker's deletion cost to Kubernetes, which removes the cheapest pods first when it scales in.
//!
//! The cost is an annotation of a pod (`controller.kubernetes.io/pod-deletion-cost`) that the controller of a ReplicaSet
//! reads. Several controls may publish the same cost.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use tokio::time::timeout;

use crate::net::kubernetes::{Cluster, LIMIT, refusal, status};
use crate::worker::{Directory, WorkerSnapshot};

/// The interval at which changes are published.
const INTERVAL: Duration = Duration::from_secs(5);
/// Subtracted from the cost of a draining worker, so that it costs less than any other worker.
const DRAINED: i32 = 1_000_000;
const REMEDY: &str = "the service account may not patch pods";

/// Publishes the costs of all workers for as long as the process runs.
///
/// # Errors
/// The certificate authority or the token can't be read; the text is for users.
pub async fn publish(cluster: Cluster, directory: Directory) -> Result<(), String> {
    let mut costs = PodCosts::new(&cluster)?;
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let workers = directory.workers();
        costs.publish(workers.iter().filter_map(|worker| cost(&worker.snapshot()))).await;
    }
}

/// A worker's pod and deletion cost; `None` if its pod is unknown.
fn cost(worker: &WorkerSnapshot) -> Option<(String, i32)> {
    let facts = worker.facts.as_ref().filter(|_| worker.machine.is_some())?;
    let pod = facts.host_name.clone().filter(|name| is_pod_name(name))?;
    let sessions = i32::try_from(worker.sessions.len()).unwrap_or(i32::MAX);
    Some((pod, if worker.draining { sessions.min(DRAINED) - DRAINED - 1 } else { sessions }))
}

/// Whether a text is a valid pod name (RFC 1123), because it becomes part of a path.
fn is_pod_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    (1..=253).contains(&name.len()) && name.bytes().all(allowed) && !name.contains("..")
}

struct PodCosts {
    pods: Api<Pod>,
    published: HashMap<String, i32>,
    /// Whether the last logged state was a failure.
    failing: bool,
}

impl PodCosts {
    fn new(cluster: &Cluster) -> Result<Self, String> {
        Ok(Self {
            pods: Api::default_namespaced(cluster.client()?),
            published: HashMap::new(),
            failing: false,
        })
    }

    /// Publishes the costs that have changed.
    async fn publish(&mut self, costs: impl Iterator<Item = (String, i32)>) {
        let costs: HashMap<String, i32> = costs.collect();
        self.published.retain(|pod, _| costs.contains_key(pod));
        for (pod, cost) in costs {
            if self.published.get(&pod) == Some(&cost) {
                continue;
            }
            match self.annotate(&pod, cost).await {
                Ok(()) => {
                    self.failing = false;
                    self.published.insert(pod, cost);
                }
                Err(why) if self.failing => {
                    log::debug!("the deletion cost of pod {pod} can't be set: {why}")
                }
                Err(why) => {
                    self.failing = true;
                    log::warn!("the deletion cost of pod {pod} can't be set, and is retried: {why}");
                }
            }
        }
    }

    async fn annotate(&self, pod: &str, cost: i32) -> Result<(), String> {
        let patch = serde_json::json!({
            "metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": cost.to_string()}}
        });
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(&patch));
        match timeout(LIMIT, self.pods.patch_metadata(pod, &parameters, &patch)).await {
            Ok(Ok(_)) => Ok(()),
            // The pod has been deleted meanwhile, or is not in this namespace.
            Ok(Err(error)) if status(&error) == Some(404) => Ok(()),
            Ok(Err(error)) => Err(refusal(&error, REMEDY)),
            Err(_) => Err(format!("Kubernetes did not answer within {} s", LIMIT.as_secs())),
        }
    }
}

#[cfg(test)]
mod tests {
    use camofleet_api::facts::Facts;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;
    use crate::worker::Machine;

    /// An API that answers each request with the next of these statuses, and returns the requests that it received.
    async fn api(statuses: Vec<u16>) -> (Cluster, mpsc::UnboundedReceiver<String>, tempfile::TempDir) {
        let files = tempfile::tempdir().unwrap();
        let token = files.path().join("token");
        std::fs::write(&token, "s3cr3t").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = mpsc::unbounded_channel();
        actix_rt::spawn(async move {
            for status in statuses {
                let (mut caller, _) = listener.accept().await.unwrap();
                let (mut request, mut buffer) = (String::new(), [0; 4096]);
                while !request.contains("pod-deletion-cost") {
                    let count = caller.read(&mut buffer).await.unwrap();
                    request.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
                }
                let body = match status {
                    200 => r#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{}}"#
                        .to_owned(),
                    code => {
                        format!(r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","code":{code}}}"#)
                    }
                };
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
                let answer = head + &body;
                caller.write_all(answer.as_bytes()).await.unwrap();
                sender.send(request).unwrap();
            }
        });
        let cluster = Cluster {
            api: url.parse().unwrap(),
            authority: None,
            token: Some(token),
            namespace: "fleet".to_owned(),
        };
        (cluster, requests, files)
    }

    fn costs(costs: &[(&str, i32)]) -> impl Iterator<Item = (String, i32)> {
        costs.iter().map(|(pod, cost)| ((*pod).to_owned(), *cost)).collect::<Vec<_>>().into_iter()
    }

    #[actix::test]
    async fn a_cost_is_published_when_it_changes_and_not_again() {
        let (cluster, mut requests, _files) = api(vec![200, 200]).await;
        let mut pods = PodCosts::new(&cluster).unwrap();
        for cost in [3, 3, 4] {
            pods.publish(costs(&[("worker-5d8f-x2", cost)])).await;
        }
        let (first, second) = (requests.recv().await.unwrap(), requests.recv().await.unwrap());
        assert!(first.starts_with("PATCH /api/v1/namespaces/fleet/pods/worker-5d8f-x2"), "{first}");
        let head = first.to_lowercase();
        assert!(head.contains("authorization: bearer s3cr3t\r\n"), "{first}");
        assert!(head.contains("content-type: application/merge-patch+json"), "{first}");
        let body = r#"{"metadata":{"annotations":{"controller.kubernetes.io/pod-deletion-cost":"3"}}}"#;
        assert!(first.ends_with(body), "{first}");
        assert!(second.ends_with(&body.replace('3', "4")), "{second}");
    }

    #[actix::test]
    async fn a_failed_update_is_retried_unless_the_pod_is_gone() {
        let (cluster, mut requests, _files) = api(vec![403, 200, 404]).await;
        let mut pods = PodCosts::new(&cluster).unwrap();
        pods.publish(costs(&[("a", 1)])).await;
        assert!(pods.failing);
        pods.publish(costs(&[("a", 1)])).await;
        assert!(!pods.failing);
        for _ in 0..3 {
            pods.publish(costs(&[("a", 1), ("gone", 1)])).await;
        }
        let mut count = 0;
        while requests.try_recv().is_ok() {
            count += 1;
        }
        assert_eq!(count, 3);
    }

    #[test]
    fn a_drained_worker_costs_less_than_any_other_and_an_empty_one_less_than_a_busy_one() {
        let of = |host_name: &str, draining| {
            let facts = Facts { host_name: Some(host_name.to_owned()), ..Facts::default() };
            let machine = Machine { url: "http://a:8080".to_owned(), last_contact: None };
            cost(&WorkerSnapshot {
                facts: Some(facts),
                machine: Some(machine),
                draining,
                ..WorkerSnapshot::default()
            })
        };
        assert_eq!(of("worker-0", false), Some(("worker-0".to_owned(), 0)));
        assert_eq!(of("worker-0", true), Some(("worker-0".to_owned(), -DRAINED - 1)));
        assert_eq!(of("../nodes/a", false), None);
        assert_eq!(of("Host", false), None);
        assert_eq!(
            cost(&WorkerSnapshot { facts: Some(Facts::default()), ..WorkerSnapshot::default() }),
            None
        );
    }
}
