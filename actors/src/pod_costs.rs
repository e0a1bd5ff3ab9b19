//! What the loss of each worker would cost, told to Kubernetes: when it scales in, it removes the cheapest pods first.
//!
//! The cost is an annotation of a pod (`controller.kubernetes.io/pod-deletion-cost`) that the controller of a ReplicaSet
//! reads. Several controls may tell the same.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use awc::http::{Method, header};
use url::Url;

use crate::error::with_sources;
use crate::fleet::Directory;
use crate::tls;
use crate::worker::WorkerSnapshot;

/// How often changes are told.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// How long Kubernetes may take to answer.
const LIMIT: Duration = Duration::from_secs(5);
/// How much less a worker costs that takes no more sessions: less than any other with sessions.
const DRAINED: i32 = 1_000_000;

/// Kubernetes' API, as a pod of the cluster reaches it.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Where the API is.
    pub api: Url,
    /// The certificate authority of the API's certificate, a PEM file; `None` are those that this machine trusts.
    pub authority: Option<PathBuf>,
    /// The file with the token of the service account, which is read each time: tokens are replaced.
    pub token: PathBuf,
    /// The namespace of the workers' pods.
    pub namespace: String,
}

/// Tells the costs of all workers, for as long as it runs.
///
/// # Errors
/// The certificate authority can't be read.
pub async fn tell(cluster: Cluster, directory: Directory) -> io::Result<()> {
    let mut costs = PodCosts::new(cluster)?;
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
    cluster: Cluster,
    client: awc::Client,
    told: HashMap<String, i32>,
    /// Whether the log says that it does not work.
    failing: bool,
}

impl PodCosts {
    fn new(cluster: Cluster) -> io::Result<Self> {
        let connector = awc::Connector::new().timeout(LIMIT);
        let connector = match &cluster.authority {
            Some(authority) => {
                connector.rustls_0_23(tls::client_config_trusting(&std::fs::read(authority)?)?)
            }
            None => connector,
        };
        let client = awc::Client::builder().connector(connector).timeout(LIMIT).finish();
        Ok(Self { cluster, client, told: HashMap::new(), failing: false })
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
        let Cluster { api, namespace, token, .. } = &self.cluster;
        let token = tokio::fs::read_to_string(token).await.map_err(|error| format!("no token: {error}"))?;
        let url = format!("{}/api/v1/namespaces/{namespace}/pods/{pod}", api.as_str().trim_end_matches('/'));
        let patch = serde_json::json!({
            "metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": cost.to_string()}}
        });
        let request = self
            .client
            .request(Method::PATCH, url)
            .insert_header((header::AUTHORIZATION, format!("Bearer {}", token.trim())))
            .insert_header((header::CONTENT_TYPE, "application/merge-patch+json"));
        let answer = request.send_body(patch.to_string()).await.map_err(|error| with_sources(&error))?;
        match answer.status().as_u16() {
            200..=299 => Ok(()),
            // It has gone meanwhile, or is no pod of this namespace: there is nobody to tell.
            404 => Ok(()),
            403 => Err("Kubernetes answered 403: the service account may not patch pods".to_owned()),
            status => Err(format!("Kubernetes answered {status}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;
    use crate::worker::{Facts, Machine};

    /// An API that answers each request with the next of these statuses, and tells what it was asked.
    async fn api(statuses: Vec<u16>) -> (Cluster, mpsc::UnboundedReceiver<String>, tempfile::TempDir) {
        let files = tempfile::tempdir().unwrap();
        let token = files.path().join("token");
        std::fs::write(&token, "s3cr3t\n").unwrap();
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
                let answer = format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
                caller.write_all(answer.as_bytes()).await.unwrap();
                told.send(request).unwrap();
            }
        });
        let cluster =
            Cluster { api: url.parse().unwrap(), authority: None, token, namespace: "fleet".to_owned() };
        (cluster, asked, files)
    }

    fn costs(costs: &[(&str, i32)]) -> impl Iterator<Item = (String, i32)> {
        costs.iter().map(|(pod, cost)| ((*pod).to_owned(), *cost)).collect::<Vec<_>>().into_iter()
    }

    #[actix::test]
    async fn a_pod_is_told_its_cost_when_it_changes_and_not_again() {
        let (cluster, mut asked, _files) = api(vec![200, 200]).await;
        let mut pods = PodCosts::new(cluster).unwrap();
        for cost in [3, 3, 4] {
            pods.tell(costs(&[("worker-5d8f-x2", cost)])).await;
        }
        let (first, second) = (asked.recv().await.unwrap(), asked.recv().await.unwrap());
        assert!(first.starts_with("PATCH /api/v1/namespaces/fleet/pods/worker-5d8f-x2 HTTP/1.1"), "{first}");
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
        let mut pods = PodCosts::new(cluster).unwrap();
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
