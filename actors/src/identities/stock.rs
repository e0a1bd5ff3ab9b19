//! The machines that were drawn ahead.

use std::collections::VecDeque;
use std::sync::Arc;

use super::protocol::Constraints;
use crate::model::machine::Machine;

/// How many machines are kept under each constraints that launches asked for. A draw takes milliseconds, so this only has to
/// last while several browsers are launched at once.
pub(super) const AHEAD: usize = 3;
/// Under how many different constraints machines are kept; those that were asked for longest ago are forgotten. A machine takes
/// 100 KB at most.
pub(super) const SHELVES: usize = 16;

/// Machines, by the constraints that they were drawn under. The last shelf is the one that was asked for last.
#[derive(Default)]
pub(super) struct Stock {
    shelves: Vec<Shelf>,
}

struct Shelf {
    constraints: Constraints,
    machines: VecDeque<Arc<Machine>>,
    /// How many are being drawn.
    ordered: usize,
}

impl Stock {
    fn shelf(&mut self, constraints: &Constraints) -> Option<&mut Shelf> {
        self.shelves.iter_mut().find(|shelf| shelf.constraints == *constraints)
    }

    /// Takes a machine, which nobody else gets.
    pub fn take(&mut self, constraints: &Constraints) -> Option<Arc<Machine>> {
        self.shelf(constraints)?.machines.pop_front()
    }

    /// How many machines have to be drawn; they count as ordered.
    pub fn order(&mut self, constraints: &Constraints) -> usize {
        let at = self.shelves.iter().position(|shelf| shelf.constraints == *constraints);
        let mut shelf = match at {
            Some(at) => self.shelves.remove(at),
            None => {
                if self.shelves.len() >= SHELVES {
                    self.shelves.remove(0);
                }
                Shelf { constraints: constraints.clone(), machines: VecDeque::new(), ordered: 0 }
            }
        };
        let missing = AHEAD.saturating_sub(shelf.machines.len() + shelf.ordered);
        shelf.ordered += missing;
        self.shelves.push(shelf);
        missing
    }

    /// Adds a machine that was ordered; it is dropped if its constraints were forgotten meanwhile.
    pub fn add(&mut self, constraints: &Constraints, machine: Arc<Machine>) {
        if let Some(shelf) = self.shelf(constraints) {
            shelf.ordered = shelf.ordered.saturating_sub(1);
            shelf.machines.push_back(machine);
        }
    }

    /// Records that an ordered machine will not come.
    pub fn give_up(&mut self, constraints: &Constraints) {
        if let Some(shelf) = self.shelf(constraints) {
            shelf.ordered = shelf.ordered.saturating_sub(1);
        }
    }

    /// How many machines are kept, and under how many constraints.
    #[cfg(test)]
    pub fn size(&self) -> (usize, usize) {
        (self.shelves.iter().map(|shelf| shelf.machines.len()).sum(), self.shelves.len())
    }
}
