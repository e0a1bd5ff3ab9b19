//! A worker's drivers: which of them has a place for a browser, and who waits for one.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::Check;
use crate::driver::{DriverHandle, DriverId, DriverSeat, DriverVersions, StopDriver};
use crate::supervision::Children;

/// The drivers of one worker, and the launches that wait for one to come up.
pub(super) struct DriverPool {
    /// Those that are kept.
    pub children: Children<DriverId, DriverHandle>,
    /// How many browsers one may host.
    limit: usize,
    last_id: DriverId,
    waiters: VecDeque<oneshot::Sender<DriverSeat>>,
}

impl DriverPool {
    /// No drivers yet; each may host `limit` browsers.
    pub fn new(limit: usize) -> Self {
        Self { children: Children::new(), limit, last_id: 0, waiters: VecDeque::new() }
    }

    /// The drivers that live, however they are.
    pub fn iter(&self) -> impl Iterator<Item = &DriverHandle> + Clone {
        self.children.iter().map(|(_, driver)| driver)
    }

    /// A place in the least loaded driver that is up and has one.
    pub fn seat(&self) -> Option<DriverSeat> {
        let free = self.iter().filter(|driver| driver.is_up() && driver.load() < self.limit);
        free.min_by_key(|driver| driver.load()).map(DriverHandle::seat)
    }

    /// A place as soon as there is one.
    pub fn wait_for_seat(&mut self) -> oneshot::Receiver<DriverSeat> {
        let (waiter, seat) = oneshot::channel();
        self.waiters.push_back(waiter);
        seat
    }

    /// Gives launches that wait their places. True if some still wait.
    pub fn seat_waiters(&mut self) -> bool {
        // A launch that was given up no longer listens: its place must not be kept for it.
        self.waiters.retain(|waiter| !waiter.is_closed());
        while !self.waiters.is_empty() {
            let Some(seat) = self.seat() else { return true };
            if let Some(waiter) = self.waiters.pop_front() {
                let _ = waiter.send(seat);
            }
        }
        false
    }

    /// The id of a driver to start, unless one is starting already. One that does not answer is no help, and may be
    /// killed: it is not waited for.
    pub fn next_id(&mut self) -> Option<DriverId> {
        let started = self.iter().filter(|driver| driver.versions.borrow().is_some()).count();
        if started < self.children.len() {
            return None;
        }
        self.last_id += 1;
        Some(self.last_id)
    }

    /// Ends drivers that host nothing, all but one.
    pub fn retire_idle(&mut self) {
        let idle = self.children.iter().filter(|(_, driver)| driver.is_up() && driver.load() == 0);
        let idle: Vec<DriverId> = idle.map(|(id, _)| *id).collect();
        let keep_one = usize::from(idle.len() == self.iter().count());
        for id in idle.into_iter().skip(keep_one) {
            if let Some(driver) = self.children.remove(&id) {
                driver.address.do_send(StopDriver);
            }
        }
    }

    /// What runs in them, once one is up.
    pub fn versions(&self) -> Option<DriverVersions> {
        self.iter().find_map(|driver| driver.versions.borrow().clone())
    }

    /// Their health.
    pub fn check(&self) -> Check {
        let up = self.iter().filter(|driver| driver.is_up()).count();
        let hung = self.iter().filter(|driver| !driver.is_answering()).count();
        match self.versions() {
            Some(DriverVersions { playwright, node }) => {
                let quiet = if hung > 0 { format!(", {hung} not answering") } else { String::new() };
                // Launches get another one, which is there in a second.
                Check::fine(format!("{up} up{quiet}, playwright {playwright}, node {node}"))
            }
            // Launches wait for a driver that starts; one that has to be started first is a failure.
            None if self.iter().next().is_some() => Check::fine("starting"),
            None => Check { ok: false, text: "restarting".to_owned() },
        }
    }
}
