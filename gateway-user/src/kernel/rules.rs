//! The rules behind an image: the image holds no names, and an event is told with them.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    config::Config,
    daemon::{ActiveOrder, Event},
    policy::{Lists, PolicyImage},
};

/// What one image was compiled from.
pub(super) struct Rules {
    pub(super) config: Arc<Config>,
    pub(super) orders: Vec<ActiveOrder>,
    pub(super) lists: Arc<Lists>,
    pub(super) hash: Arc<str>,
    generation: u64,
    /// Since when images of this process are in force: generations are counted anew by each.
    since: Timestamp,
}

impl Rules {
    /// Of the first image of this process, in force `since` then.
    pub(super) fn new(config: &Config, orders: &[ActiveOrder], image: &PolicyImage, since: Timestamp) -> Self {
        Self {
            config: Arc::new(config.clone()),
            orders: orders.to_vec(),
            lists: Arc::new(Lists::new(config)),
            hash: image.hash.as_str().into(),
            generation: image.generation.into(),
            since,
        }
    }

    /// Of the next image. An order leaves the file as it is, so its lists stay sorted.
    pub(super) fn next(&self, config: &Config, orders: &[ActiveOrder], image: &PolicyImage) -> Self {
        if *self.config != *config {
            return Self::new(config, orders, image, self.since);
        }
        Self {
            config: Arc::clone(&self.config),
            orders: orders.to_vec(),
            lists: Arc::clone(&self.lists),
            hash: image.hash.as_str().into(),
            generation: image.generation.into(),
            since: self.since,
        }
    }

    /// Whether these decided about the packet of an event.
    pub(super) fn decided(&self, event: &Event) -> bool {
        event.generation == self.generation && event.time >= self.since
    }
}
