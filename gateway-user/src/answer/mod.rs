//! The answer to a refused caller: a final response (RFC 3261 section 8.2.6) in the name of whom he called.
//!
//! It is made from the head of his request and goes back the way that came: same link, same tags, addresses and ports
//! exchanged. Nothing of the request is kept, and no state: whoever sends it again gets the same answer again (section
//! 8.2.7). What cannot be answered by the letter is not answered.

mod frame;
mod head;
mod reply;
mod via;
mod words;

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher as _, RandomState};

use gateway_common::answer::Refused;

use frame::Way;
use head::Head;
use reply::Reply;

/// The codes that a refusal may have, each with its phrase; the first where the policy names none.
///
/// None of 5xx is among them: a PBX that gets one tries its next trunk (RFC 3261 section 21.5.4), perhaps one that nobody
/// filters. None that asks to dial otherwise is either.
pub const STATUS: [(u16, &str); 4] =
    [(603, "Decline"), (403, "Forbidden"), (480, "Temporarily Unavailable"), (486, "Busy Here")];

/// Makes answers. The tags of one differ from those of another.
#[derive(Debug, Default)]
pub struct Answerer {
    key: RandomState,
}

impl Answerer {
    /// The frame that answers a request, of which `frame` is the head as [`Refused`] says; `None` where it cannot be
    /// answered. Its payload is never larger than that of the request. `order` is what stopped it, if an order did.
    pub fn answer(&self, refused: &Refused, frame: &[u8], status: u16, order: Option<u64>) -> Option<Vec<u8>> {
        let way = Way::of(refused, frame)?;
        let head = Head::read(frame.get(usize::from(refused.at)..)?)?;
        let via = via::read(head.vias.first()?)?;
        let reply = Reply {
            status: STATUS.iter().find(|(code, _)| *code == status)?,
            via: via.received(way.source),
            tag: self.tag(&head),
            why: words::why(&refused.judged, order),
        };
        let message = reply.write(&head, usize::from(refused.payload))?;
        way.back(via.port(way.source), &message)
    }

    /// The tag of To: the same each time that a request is sent again.
    fn tag(&self, head: &Head) -> String {
        format!("{:016x}", self.key.hash_one((&head.call_id, &head.from, &head.cseq)))
    }
}
