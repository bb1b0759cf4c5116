//! To which call a message belongs, by digests of what names it.

use crate::{
    call::Digest,
    env::Env,
    judged::Who,
    sip::{
        headers::{ANSWER, DIALOG, Headers},
        parameter::{self, TAG, USERNAME, WORD},
    },
};

/// What of a message names its call, and its line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Dialog {
    /// Its Call-ID; 0 where it has none, or was not read.
    pub call_id: Digest,
    /// Its From tag.
    pub from_tag: Digest,
    /// Its To tag.
    pub to_tag: Digest,
    /// The line: the username of its credentials, else the From user where it came from the LAN side; 0 for none. By
    /// [`parameter::span`] with seed 0, so that user space can write it into a policy.
    pub line: u64,
    /// The user of its Request-URI.
    pub user: Digest,
    /// The user of its Contact.
    pub contact: Digest,
    /// The method that an answer answers, as its number; 0 where that is of no interest.
    pub method: u32,
    /// Whether it carries credentials.
    pub credentials: u32,
}

/// Reads the dialog of a request whose URI is at `at`, of a source `who`.
#[inline(always)]
pub fn request<E: Env>(env: &mut E, at: u32, who: u8) {
    let seed = env.site().seed;
    let headers = Headers(env.headers(at, DIALOG));
    common(env, headers, seed);
    let user = env.user(at, seed);
    env.dialog().user = user;
    let mut line = env.digest(USERNAME, headers.credentials(), 0, 0);
    env.dialog().credentials = (headers.credentials() != 0) as u32;
    if line == 0 && who == Who::Lan as u8 {
        line = parameter::address_user(env, headers.from(), 0);
    }
    env.dialog().line = line;
    env.judged().line = line;
}

/// Reads the dialog of an answer whose status line is at `at`.
#[inline(always)]
pub fn answer<E: Env>(env: &mut E, at: u32) {
    let seed = env.site().seed;
    let headers = Headers(env.headers(at, ANSWER));
    common(env, headers, seed);
    let method = parameter::answered(env, headers.cseq());
    env.dialog().method = method;
}

#[inline(always)]
fn common<E: Env>(env: &mut E, headers: Headers, seed: u64) {
    *env.dialog() = Dialog::default();
    let call_id = env.digest(TAG, headers.call_id(), WORD, seed);
    env.dialog().call_id = call_id;
    let tag = env.digest(TAG, headers.from(), 0, seed);
    env.dialog().from_tag = tag;
    let tag = env.digest(TAG, headers.to(), 0, seed);
    env.dialog().to_tag = tag;
    let contact = parameter::address_user(env, headers.dialog_contact(), seed);
    env.dialog().contact = contact;
}
