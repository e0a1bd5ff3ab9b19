//! Display slots. Each is a display number, a raw VNC port and a VNC id, with the handle of the screen that uses them.
//!
//! The three are at the same offset of their ranges, so that an external gateway can compute the port of a server from its
//! id: `port = VNC_BASE_PORT + (id - first id)`.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::model::error::{Error, Result};
use crate::model::screen::ScreenHandle;
use crate::process::Os;

/// The three ranges of slots; the shortest decides how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRanges {
    /// X display numbers.
    pub displays: RangeInclusive<u16>,
    /// TCP ports of the VNC servers.
    pub vnc_ports: RangeInclusive<u16>,
    /// Public VNC ids.
    pub vnc_ids: RangeInclusive<u16>,
}

impl SlotRanges {
    /// How many slots the ranges hold.
    pub fn capacity(&self) -> usize {
        [&self.displays, &self.vnc_ports, &self.vnc_ids]
            .into_iter()
            .map(ExactSizeIterator::len)
            .min()
            .unwrap_or(0)
    }
}

/// All slots of one worker. Clones share them.
#[derive(Debug, Clone)]
pub struct Slots {
    ranges: SlotRanges,
    free: Free,
}

/// The offsets of free slots. Locked only for the time of a set operation.
#[derive(Debug, Clone)]
struct Free {
    offsets: Arc<Mutex<BTreeSet<u16>>>,
    count: watch::Sender<usize>,
}

impl Free {
    fn change<T>(&self, change: impl FnOnce(&mut BTreeSet<u16>) -> T) -> T {
        let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut offsets);
        self.count.send_replace(offsets.len());
        result
    }
}

impl Slots {
    /// All slots of the ranges, initially free.
    pub fn new(ranges: SlotRanges) -> Self {
        let count = u16::try_from(ranges.capacity()).unwrap_or(u16::MAX);
        let offsets = Arc::new(Mutex::new((0..count).collect()));
        Self { ranges, free: Free { offsets, count: watch::Sender::new(usize::from(count)) } }
    }

    /// Leases the lowest slot whose display and port no other program uses.
    ///
    /// # Errors
    /// [`Error::NoSlot`] when there is none.
    pub fn lease(&self, os: &dyn Os) -> Result<SlotLease> {
        let take = |free: &mut BTreeSet<u16>| {
            let usable = free.iter().copied().find(|offset| {
                os.display_is_free(self.ranges.displays.start() + offset)
                    && os.port_is_free(self.ranges.vnc_ports.start() + offset)
            })?;
            free.remove(&usable);
            Some(usable)
        };
        let offset = self.free.change(take).ok_or(Error::NoSlot { limit: self.ranges.capacity() })?;
        Ok(SlotLease {
            display: self.ranges.displays.start() + offset,
            vnc_port: self.ranges.vnc_ports.start() + offset,
            vnc_id: self.ranges.vnc_ids.start() + offset,
            screen: ScreenHandle::default(),
            offset,
            free: self.free.clone(),
        })
    }

    /// The number of slots.
    pub fn capacity(&self) -> usize {
        self.ranges.capacity()
    }

    /// The number of free slots.
    pub fn free(&self) -> usize {
        *self.free.count.borrow()
    }

    /// Notifies of every change of [`Self::free`].
    pub fn watch_free(&self) -> watch::Receiver<usize> {
        self.free.count.subscribe()
    }
}

/// A slot in use; dropping it frees the slot.
#[derive(Debug)]
pub struct SlotLease {
    /// The X display's number.
    pub display: u16,
    /// The TCP port of its VNC server.
    pub vnc_port: u16,
    /// The id in viewers' URLs.
    pub vnc_id: u16,
    /// Connects viewers of this process to its screen, and not to a later screen with the same numbers.
    pub screen: ScreenHandle,
    offset: u16,
    free: Free,
}

impl Drop for SlotLease {
    fn drop(&mut self) {
        self.free.change(|free| free.insert(self.offset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fake_os::FakeOs;

    fn slots(count: u16) -> Slots {
        Slots::new(SlotRanges {
            displays: 100..=100 + count - 1,
            vnc_ports: 5900..=5999,
            vnc_ids: 6900..=6999,
        })
    }

    #[test]
    fn the_parts_of_a_slot_have_the_same_offset() {
        let (slots, os) = (slots(3), FakeOs::new());
        let _first = slots.lease(&os).unwrap();
        let second = slots.lease(&os).unwrap();
        assert_eq!((second.display, second.vnc_port, second.vnc_id), (101, 5901, 6901));
    }

    #[test]
    fn the_slot_of_a_dropped_lease_is_used_next() {
        let (slots, os) = (slots(2), FakeOs::new());
        let first = slots.lease(&os).unwrap();
        let _second = slots.lease(&os).unwrap();
        assert_eq!(slots.lease(&os).unwrap_err(), Error::NoSlot { limit: 2 });
        drop(first);
        assert_eq!(slots.lease(&os).unwrap().display, 100);
    }

    #[test]
    fn a_display_or_port_of_another_program_is_skipped() {
        let (slots, os) = (slots(4), FakeOs::new());
        os.occupy_display(100);
        os.occupy_port(5901);
        assert_eq!(slots.lease(&os).unwrap().display, 102);
        assert_eq!(slots.free(), 4, "a slot that is skipped stays free");
    }

    #[test]
    fn the_shortest_range_decides_the_capacity() {
        let ranges = SlotRanges { displays: 100..=199, vnc_ports: 5900..=5999, vnc_ids: 6900..=6904 };
        assert_eq!(Slots::new(ranges).capacity(), 5);
    }
}
