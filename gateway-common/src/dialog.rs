//! To which call a message belongs, by digests of what names it.

use crate::{
    call::Digest,
    env::Env,
    judged::Who,
    sip::{
        headers::{self, CALL_ID, CONTACT, CREDENTIALS, CSEQ, FROM, NO_NUMBER, SESSION_EXPIRES, TO},
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
    /// The status of an answer that was read; 0 for everything else.
    pub status: u32,
    /// What the Session-Expires of an answer says, seconds; 0 where none was read.
    pub session: u32,
}

/// Reads the dialog of a request whose URI is at `at`, of a source `who`.
#[inline(always)]
pub fn request<E: Env>(env: &mut E, at: u32, who: u8) {
    let seed = env.site().seed;
    headers::walk(env, at);
    common(env, seed);
    let user = env.user(at, seed);
    env.dialog().user = user;
    let credentials = *env.found(CREDENTIALS);
    let mut line = env.digest(USERNAME, credentials, 0, 0);
    env.dialog().credentials = (credentials != 0) as u32;
    if line == 0 && who == Who::Lan as u8 {
        let from = *env.found(FROM);
        line = parameter::address_user(env, from, 0);
    }
    env.dialog().line = line;
    env.dialog().method = 0;
    env.dialog().session = 0;
    env.judged().line = line;
}

/// Reads the dialog of an answer whose status line is at `at`.
#[inline(always)]
pub fn answer<E: Env>(env: &mut E, at: u32) {
    let seed = env.site().seed;
    headers::walk(env, at);
    common(env, seed);
    env.dialog().user = 0;
    env.dialog().line = 0;
    env.dialog().credentials = 0;
    let cseq = *env.found(CSEQ);
    let method = parameter::answered(env, cseq);
    env.dialog().method = method;
    let value = *env.found(SESSION_EXPIRES);
    let session = env.decimal(value);
    env.dialog().session = if session == NO_NUMBER { 0 } else { session as u32 };
}

#[inline(always)]
fn common<E: Env>(env: &mut E, seed: u64) {
    let value = *env.found(CALL_ID);
    let call_id = env.digest(TAG, value, WORD, seed);
    env.dialog().call_id = call_id;
    let value = *env.found(FROM);
    let tag = env.digest(TAG, value, 0, seed);
    env.dialog().from_tag = tag;
    let value = *env.found(TO);
    let tag = env.digest(TAG, value, 0, seed);
    env.dialog().to_tag = tag;
    let value = *env.found(CONTACT);
    let contact = parameter::address_user(env, value, seed);
    env.dialog().contact = contact;
}
