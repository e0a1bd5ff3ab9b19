//! camofleet web
