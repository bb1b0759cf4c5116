//! Serving the control socket: bounded in connections, in octets and in time, so that no peer disturbs the daemon.

use std::{io, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixStream, unix::OwnedWriteHalf},
    sync::{Semaphore, broadcast, mpsc, oneshot},
    time::timeout,
};

use super::{
    Listener, peer,
    protocol::{Command, ErrorKind, ErrorView, MAX_REQUEST, decode_request, encode_reply},
    views::LostView,
};

/// Requests handled at once; the next gets a reply that says busy.
const MAX_HANDLERS: usize = 32;
/// Of these, followers of events, which stay.
const MAX_FOLLOWERS: usize = 16;
/// How long a peer may take to send one line.
const READ_TIME: Duration = Duration::from_secs(5);
/// How long a peer may take to receive one reply.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// Rest after the system refused a connection, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One request on its way to the daemon.
pub struct Job {
    /// What is asked.
    pub command: Command,
    /// The user who asks.
    pub who: String,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answer>,
}

/// What the daemon answers.
pub enum Answer {
    /// One reply line.
    Reply(Result<Value, ErrorView>),
    /// One reply line, then the lines of this iterator, made as they are sent.
    Lines(Box<dyn Iterator<Item = String> + Send>),
    /// What is still being worked out.
    Later(oneshot::Receiver<Self>),
    /// One reply line, then what arrives here until either end leaves.
    Follow(broadcast::Receiver<Arc<str>>),
}

/// Accepts connections for ever, and hands what they ask to `jobs`.
pub async fn serve(listener: &Listener, jobs: mpsc::Sender<Job>) {
    let handlers = Arc::new(Semaphore::new(MAX_HANDLERS));
    let followers = Arc::new(Semaphore::new(MAX_FOLLOWERS));
    loop {
        let stream = match listener.socket.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a control connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&handlers).try_acquire_owned() else {
            refuse_busy(&stream);
            continue;
        };
        let (jobs, followers) = (jobs.clone(), Arc::clone(&followers));
        tokio::spawn(async move {
            if let Err(error) = converse(stream, &jobs, &followers).await {
                tracing::debug!(%error, "a control connection ended early");
            }
            drop(permit);
        });
    }
}

fn busy(what: &str) -> ErrorView {
    ErrorView { kind: ErrorKind::Busy, message: format!("the daemon is busy: {what} at once; try again") }
}

/// Says so without waiting: a fresh socket has room for one line.
fn refuse_busy(stream: &UnixStream) {
    let line = encode_reply(&Err(busy(&format!("{MAX_HANDLERS} requests"))));
    if let Err(error) = stream.try_write(line.as_bytes()) {
        tracing::debug!(%error, "cannot tell a peer that the daemon is busy");
    }
}

/// Serves one connection: request, reply, request, reply, until the peer ends it or errs.
async fn converse(stream: UnixStream, jobs: &mpsc::Sender<Job>, followers: &Arc<Semaphore>) -> io::Result<()> {
    let who = peer::user_name(stream.peer_cred()?.uid());
    let (mut reader, mut writer) = stream.into_split();
    let mut buffer = Vec::new();
    loop {
        let line = match timeout(READ_TIME, read_line(&mut reader, &mut buffer)).await {
            Ok(Ok(Some(line))) => line,
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(ReadError::Io(error))) => return Err(error),
            Ok(Err(ReadError::TooLong)) => {
                let error = ErrorView::usage(format!("the request is longer than {MAX_REQUEST} octets"));
                return send(&mut writer, &encode_reply(&Err(error))).await;
            }
            Err(_) if buffer.is_empty() => return Ok(()),
            Err(_) => {
                let error = ErrorView::usage(format!("no whole request within {} s", READ_TIME.as_secs()));
                return send(&mut writer, &encode_reply(&Err(error))).await;
            }
        };
        let mut answer = match decode_request(&line) {
            Ok(command) => ask(jobs, command, &who).await,
            Err(error) => Answer::Reply(Err(error)),
        };
        while let Answer::Later(later) = answer {
            answer = later.await.unwrap_or_else(|_| gone());
        }
        match answer {
            Answer::Later(_) => {}
            Answer::Reply(reply) => send(&mut writer, &encode_reply(&reply)).await?,
            Answer::Lines(lines) => {
                send(&mut writer, &encode_reply(&Ok(Value::Null))).await?;
                for line in lines {
                    send(&mut writer, &format!("{line}\n")).await?;
                }
                // The end of the stream is the end of the list.
                return Ok(());
            }
            Answer::Follow(events) => {
                let Ok(_permit) = followers.try_acquire() else {
                    return send(&mut writer, &encode_reply(&Err(busy(&format!("{MAX_FOLLOWERS} followers"))))).await;
                };
                send(&mut writer, &encode_reply(&Ok(Value::Null))).await?;
                return follow(&mut reader, &mut writer, events).await;
            }
        }
    }
}

fn gone() -> Answer {
    Answer::Reply(Err(ErrorView::refused("the daemon is stopping; nothing was changed")))
}

async fn ask(jobs: &mpsc::Sender<Job>, command: Command, who: &str) -> Answer {
    let (answer, reply) = oneshot::channel();
    if jobs.send(Job { command, who: who.to_owned(), answer }).await.is_err() {
        return gone();
    }
    reply.await.unwrap_or_else(|_| gone())
}

enum ReadError {
    TooLong,
    Io(io::Error),
}

/// The next line without its end; what follows it stays in `buffer`. A last line needs no end. `None` at the end.
async fn read_line(reader: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Result<Option<Vec<u8>>, ReadError> {
    let mut searched = 0;
    loop {
        if let Some(at) = buffer.iter().skip(searched).position(|&octet| octet == b'\n') {
            let rest = buffer.split_off(searched + at + 1);
            let mut line = std::mem::replace(buffer, rest);
            line.pop();
            return Ok(Some(line));
        }
        if buffer.len() > MAX_REQUEST {
            return Err(ReadError::TooLong);
        }
        searched = buffer.len();
        let mut limited = reader.take((MAX_REQUEST + 1 - buffer.len()) as u64);
        if limited.read_buf(buffer).await.map_err(ReadError::Io)? == 0 {
            return Ok((!buffer.is_empty()).then(|| std::mem::take(buffer)));
        }
    }
}

async fn send(writer: &mut OwnedWriteHalf, line: &str) -> io::Result<()> {
    timeout(WRITE_TIME, writer.write_all(line.as_bytes()))
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read its reply")))
}

/// Streams events until the peer leaves or the daemon stops. A peer that stands still (a stopped terminal) holds only
/// its own queue; it is told how many events it missed.
async fn follow(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut OwnedWriteHalf,
    mut events: broadcast::Receiver<Arc<str>>,
) -> io::Result<()> {
    let mut ignored = [0; 64];
    loop {
        let line = tokio::select! {
            read = reader.read(&mut ignored) => match read? {
                0 => return Ok(()),
                _ => continue,
            },
            event = events.recv() => match event {
                Ok(line) => line,
                Err(broadcast::error::RecvError::Lagged(lost)) => serde_json::to_string(&LostView { lost })?.into(),
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            },
        };
        writer.write_all(line.as_bytes()).await?;
        writer.write_all(b"\n").await?;
    }
}
