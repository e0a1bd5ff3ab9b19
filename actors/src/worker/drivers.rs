//! A worker's drivers: their places for browsers, and the launches that wait for one.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::Check;
use crate::driver::{DriverHandle, DriverId, DriverSeat, DriverVersions, StopDriver};
use crate::supervision::Children;

/// The drivers of one worker, and the launches that wait for a place in one.
pub(super) struct DriverPool {
    /// The drivers, as supervised children.
    pub children: Children<DriverId, DriverHandle>,
    /// How many browsers one driver may host.
    limit: usize,
    last_id: DriverId,
    waiters: VecDeque<oneshot::Sender<DriverSeat>>,
}

impl DriverPool {
    /// No drivers yet; each may host `limit` browsers.
    pub fn new(limit: usize) -> Self {
        Self { children: Children::new(), limit, last_id: 0, waiters: VecDeque::new() }
    }

    /// The drivers that exist, whether they have started and respond or not.
    pub fn iter(&self) -> impl Iterator<Item = &DriverHandle> + Clone {
        self.children.iter().map(|(_, driver)| driver)
    }

    /// Reserves a place in the least loaded driver that is up and not full.
    pub fn reserve_seat(&self) -> Option<DriverSeat> {
        let free = self.iter().filter(|driver| driver.is_up() && driver.load() < self.limit);
        free.min_by_key(|driver| driver.load()).map(DriverHandle::reserve_seat)
    }

    /// Queues for a place.
    pub fn wait_for_seat(&mut self) -> oneshot::Receiver<DriverSeat> {
        let (waiter, seat) = oneshot::channel();
        self.waiters.push_back(waiter);
        seat
    }

    /// Assigns places to waiting launches. Returns whether some still wait.
    pub fn serve_waiters(&mut self) -> bool {
        // Cancelled launches must not be assigned a place.
        self.waiters.retain(|waiter| !waiter.is_closed());
        while !self.waiters.is_empty() {
            let Some(seat) = self.reserve_seat() else { return true };
            if let Some(waiter) = self.waiters.pop_front() {
                let _ = waiter.send(seat);
            }
        }
        false
    }

    /// The id of a driver to start; `None` if one is starting already. Drivers that do not respond don't count, as they
    /// may be killed.
    pub fn next_id(&mut self) -> Option<DriverId> {
        let started = self.iter().filter(|driver| driver.versions.borrow().is_some()).count();
        if started < self.children.len() {
            return None;
        }
        self.last_id += 1;
        Some(self.last_id)
    }

    /// Ends idle drivers, but keeps at least one driver.
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

    /// The versions that run in them, once one has started.
    pub fn versions(&self) -> Option<DriverVersions> {
        self.iter().find_map(|driver| driver.versions.borrow().clone())
    }

    /// The health check of the drivers.
    pub fn check(&self) -> Check {
        let up = self.iter().filter(|driver| driver.is_up()).count();
        let hung = self.iter().filter(|driver| !driver.is_answering()).count();
        match self.versions() {
            Some(DriverVersions { playwright, node }) => {
                let unresponsive = if hung > 0 { format!(", {hung} not answering") } else { String::new() };
                // Still healthy: launches start another driver, which takes a second.
                Check::fine(format!("{up} up{unresponsive}, playwright {playwright}, node {node}"))
            }
            // Launches wait for a driver that is starting; while none exists the worker is not healthy.
            None if self.iter().next().is_some() => Check::fine("starting"),
            None => Check { ok: false, text: "restarting".to_owned() },
        }
    }
}
