//! What the loss of each worker would cost, told to Kubernetes: when it scales in, it removes the cheapest pods first.
//!
//! The cost is an annotation of a pod (`controller.kubernetes.io/pod-deletion-cost`) that the controller of a ReplicaSet
//! reads. Several controls may tell the same.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use tokio::time::timeout;

use crate::net::kubernetes::{Cluster, LIMIT, refusal, status};
use crate::worker::{Directory, WorkerSnapshot};

/// How often changes are told.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// How much less a worker costs that takes no more sessions: less than any other with sessions.
const DRAINED: i32 = 1_000_000;
const REMEDY: &str = "the service account may not patch pods";

/// Tells the costs of all workers, for as long as it runs.
///
/// # Errors
/// The certificate authority or the token can't be read; the text is for people.
pub async fn tell(cluster: Cluster, directory: Directory) -> Result<(), String> {
    let mut costs = PodCosts::new(&cluster)?;
    let mut ticks = tokio::time::interval(TELL_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let workers = directory.workers();
        costs.tell(workers.iter().filter_map(|worker| cost(&worker.snapshot()))).await;
    }
}

/// The pod of a worker and what its loss would cost; `None` of one whose machine is not known.
fn cost(worker: &WorkerSnapshot) -> Option<(String, i32)> {
    let facts = worker.facts.as_ref().filter(|_| worker.machine.is_some())?;
    let pod = facts.host_name.clone().filter(|name| is_pod_name(name))?;
    let sessions = i32::try_from(worker.sessions.len()).unwrap_or(i32::MAX);
    Some((pod, if worker.draining { sessions.min(DRAINED) - DRAINED - 1 } else { sessions }))
}

/// Whether a name can be a pod's (RFC 1123): it becomes part of a path.
fn is_pod_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    (1..=253).contains(&name.len()) && name.bytes().all(allowed) && !name.contains("..")
}

struct PodCosts {
    pods: Api<Pod>,
    told: HashMap<String, i32>,
    /// Whether the log says that it does not work.
    failing: bool,
}

impl PodCosts {
    fn new(cluster: &Cluster) -> Result<Self, String> {
        Ok(Self { pods: Api::default_namespaced(cluster.client()?), told: HashMap::new(), failing: false })
    }

    /// Tells what has changed.
    async fn tell(&mut self, costs: impl Iterator<Item = (String, i32)>) {
        let costs: HashMap<String, i32> = costs.collect();
        self.told.retain(|pod, _| costs.contains_key(pod));
        for (pod, cost) in costs {
            if self.told.get(&pod) == Some(&cost) {
                continue;
            }
            match self.annotate(&pod, cost).await {
                Ok(()) => {
                    self.failing = false;
                    self.told.insert(pod, cost);
                }
                Err(why) if self.failing => {
                    log::debug!("the deletion cost of pod {pod} can't be told: {why}")
                }
                Err(why) => {
                    self.failing = true;
                    log::warn!("the deletion cost of pod {pod} can't be told, and is tried again: {why}");
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
            // It has gone meanwhile, or is no pod of this namespace: there is nobody to tell.
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

    /// An API that answers each request with the next of these statuses, and tells what it was asked.
    async fn api(statuses: Vec<u16>) -> (Cluster, mpsc::UnboundedReceiver<String>, tempfile::TempDir) {
        let files = tempfile::tempdir().unwrap();
        let token = files.path().join("token");
        std::fs::write(&token, "s3cr3t").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (told, asked) = mpsc::unbounded_channel();
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
                told.send(request).unwrap();
            }
        });
        let cluster = Cluster {
            api: url.parse().unwrap(),
            authority: None,
            token: Some(token),
            namespace: "fleet".to_owned(),
        };
        (cluster, asked, files)
    }

    fn costs(costs: &[(&str, i32)]) -> impl Iterator<Item = (String, i32)> {
        costs.iter().map(|(pod, cost)| ((*pod).to_owned(), *cost)).collect::<Vec<_>>().into_iter()
    }

    #[actix::test]
    async fn a_pod_is_told_its_cost_when_it_changes_and_not_again() {
        let (cluster, mut asked, _files) = api(vec![200, 200]).await;
        let mut pods = PodCosts::new(&cluster).unwrap();
        for cost in [3, 3, 4] {
            pods.tell(costs(&[("worker-5d8f-x2", cost)])).await;
        }
        let (first, second) = (asked.recv().await.unwrap(), asked.recv().await.unwrap());
        assert!(first.starts_with("PATCH /api/v1/namespaces/fleet/pods/worker-5d8f-x2"), "{first}");
        let head = first.to_lowercase();
        assert!(head.contains("authorization: bearer s3cr3t\r\n"), "{first}");
        assert!(head.contains("content-type: application/merge-patch+json"), "{first}");
        let body = r#"{"metadata":{"annotations":{"controller.kubernetes.io/pod-deletion-cost":"3"}}}"#;
        assert!(first.ends_with(body), "{first}");
        assert!(second.ends_with(&body.replace('3', "4")), "{second}");
    }

    #[actix::test]
    async fn what_could_not_be_told_is_told_again_and_a_pod_that_is_gone_is_not() {
        let (cluster, mut asked, _files) = api(vec![403, 200, 404]).await;
        let mut pods = PodCosts::new(&cluster).unwrap();
        pods.tell(costs(&[("a", 1)])).await;
        assert!(pods.failing);
        pods.tell(costs(&[("a", 1)])).await;
        assert!(!pods.failing);
        for _ in 0..3 {
            pods.tell(costs(&[("a", 1), ("gone", 1)])).await;
        }
        let mut count = 0;
        while asked.try_recv().is_ok() {
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
