//! Reading the policy file again: at once, or on trial until somebody confirms it.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    Core,
    core::refused,
    former::{self, Former, Trial},
};
use crate::{
    config::Config,
    control::{
        protocol::ErrorView,
        views::{ChangedView, ConfirmView},
    },
    imports::Imports,
    journal::ChangeKind,
    zone,
};

/// Time to confirm in. A shorter one is over before anybody has placed a call to try; over a longer one nobody watches.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(86_400);

impl Core {
    /// Reads the policy file again and puts it in force, whole or not at all. With `confirm`, the former policy comes back
    /// by itself unless it is confirmed in that time.
    pub fn reload(&mut self, confirm: Option<Duration>, who: &str) -> Result<ChangedView, ErrorView> {
        let now = self.now();
        let config = (self.load)().map_err(refused)?;
        let trial = confirm.map(|length| trial(now, length, who)).transpose()?;
        let before = self.former.clone();
        if let Some(trial) = &trial {
            self.gateway.check(&config.at(now), &self.book.active(now)).map_err(refused)?;
            // Where a trial is under way already, the policy to go back to is still the one before it.
            let config = match &before {
                Some(former) if !former.returned => Arc::clone(&former.config),
                _ => Arc::clone(&self.config),
            };
            let former = Former { trial: trial.clone(), config, returned: false };
            former::keep(&self.state_dir, &former).map_err(|error| {
                ErrorView::refused(format!(
                    "cannot keep the policy to go back to in {}: {error}; nothing was changed. Make room on the disk or \
                     make the directory writable, or reload without --confirm",
                    self.state_dir.display()
                ))
            })?;
            self.former = Some(former);
        }
        let was = (self.config.mode, self.applied.hash.clone());
        if let Err(error) = self.put_policy(Arc::new(config), now) {
            self.former = before;
            if trial.is_some() {
                self.keep_as_before();
            }
            return Err(refused(error));
        }
        let mut warnings = Vec::new();
        if trial.is_none()
            && let Some(former) = self.former.take()
        {
            if !former.returned {
                warnings.push(
                    "the reload that waited for `tollgate confirm` is settled by this one: what the file says stays"
                        .into(),
                );
            }
            warnings.extend(self.forget().err());
        }
        let file = self.config.path.as_ref().map_or("the built-in example".into(), |path| path.display().to_string());
        tracing::info!(%file, who, generation = self.applied.generation, "policy reloaded");
        self.keep_reload(&file, was, who);
        let mut view = self.changed(None, format!("reload {file}"), now);
        view.warnings.append(&mut warnings);
        if let Some(trial) = trial {
            tracing::info!(who, "the policy waits for `tollgate confirm` until {}", zone::shown(trial.until));
            view.expires = Some(trial.until);
            view.confirm = Some("tollgate confirm".into());
        }
        Ok(view)
    }

    /// Lets the policy on trial stay.
    pub(super) fn confirm(&mut self, who: &str) -> Result<ChangedView, ErrorView> {
        let now = self.now();
        self.end_trial(now);
        match &self.former {
            None => Err(ErrorView::refused("nothing waits to be confirmed; `tollgate status` shows what is in force")),
            Some(Former { trial, returned: true, .. }) => Err(ErrorView::refused(format!(
                "the reload of {} was not confirmed by {}, and the former policy is back in force; give it again with \
                 `tollgate reload --confirm 60s`",
                zone::shown(trial.since),
                zone::shown(trial.until)
            ))),
            Some(Former { trial, .. }) if trial.is_over(now) => Err(ErrorView::refused(
                "the time to confirm is over, and the former policy could not be put in force yet: the log says why",
            )),
            Some(_) => {
                self.forget().map_err(ErrorView::refused)?;
                self.former = None;
                tracing::info!(who, "policy confirmed");
                self.keep(ChangeKind::Policy, "the reload was confirmed".into(), Some(who));
                Ok(ChangedView { in_force: now, ..self.changed(None, "confirm".into(), now) })
            }
        }
    }

    /// Puts the former policy in force where the time to confirm is over. What fails is tried again at the next call.
    pub(super) fn end_trial(&mut self, now: Timestamp) {
        let Some(former) = self.former.as_ref().filter(|former| !former.returned && former.trial.is_over(now)) else {
            return;
        };
        let (config, trial) = (Arc::clone(&former.config), former.trial.clone());
        if let Err(error) = self.put_policy(config, now) {
            tracing::error!("the reload was not confirmed, and the former policy cannot be put in force: {error:#}");
            return;
        }
        tracing::warn!(
            who = trial.who,
            "the reload was not confirmed by {}: the former policy is in force",
            zone::shown(trial.until)
        );
        self.note_return();
    }

    /// Notes that the former policy is the one in force.
    pub(super) fn note_return(&mut self) {
        if let Some(former) = &mut self.former {
            former.returned = true;
        }
        self.keep(ChangeKind::Policy, "the reload was not confirmed: the former policy is in force".into(), None);
        if let Err(error) = former::returned(&self.state_dir) {
            // Its time is over, so the next start goes back again.
            tracing::warn!("cannot note in {} that the former policy is back: {error}", self.state_dir.display());
        }
    }

    fn put_policy(&mut self, config: Arc<Config>, now: Timestamp) -> anyhow::Result<()> {
        let imports = std::mem::replace(&mut self.imports, Imports::of(&config, &self.state_dir));
        if let Err(error) = self.apply(&config, self.book.active(now), now) {
            self.imports = imports;
            return Err(error);
        }
        self.config = config;
        self.journal.configure(self.config.journal);
        self.notifier.configure(&self.config.notify);
        Ok(())
    }

    /// Brings what is kept on disk to what it was before a reload that failed.
    fn keep_as_before(&self) {
        let kept = match &self.former {
            Some(former) => former::keep(&self.state_dir, former),
            None => former::forget(&self.state_dir),
        };
        if let Err(error) = kept {
            tracing::warn!("cannot bring {} to what it was before: {error}", self.state_dir.display());
        }
    }

    /// Removes the policy to go back to; the error says what would come of it.
    pub(super) fn forget(&self) -> Result<(), String> {
        former::forget(&self.state_dir).map_err(|error| {
            let files = former::files(&self.state_dir).map(|path| path.display().to_string()).join(" ");
            format!(
                "cannot remove the former policy: {error}; the daemon would go back to it when it starts again. Make the \
                 directory writable and remove it: rm -f {files}"
            )
        })
    }

    /// What `status` shows of a reload that wants, or wanted, to be confirmed.
    pub(super) fn trial(&self) -> Option<ConfirmView> {
        let Former { trial, returned, .. } = self.former.as_ref()?;
        Some(ConfirmView {
            state: if *returned { "returned" } else { "waiting" }.into(),
            since: trial.since,
            until: trial.until,
            who: trial.who.clone(),
        })
    }

    /// When the time to confirm is over.
    pub(super) fn trial_end(&self, now: Timestamp) -> Option<Timestamp> {
        let former = self.former.as_ref().filter(|former| !former.returned)?;
        Some(former.trial.until).filter(|until| *until > now)
    }
}

fn trial(now: Timestamp, length: Duration, who: &str) -> Result<Trial, ErrorView> {
    if !(SHORTEST..=LONGEST).contains(&length) {
        return Err(ErrorView::usage(format!(
            "the time to confirm in is {} s; give {} s to a day, such as --confirm 60s",
            length.as_secs(),
            SHORTEST.as_secs()
        )));
    }
    let until = now.checked_add(length).map_err(|error| ErrorView::usage(error.to_string()))?;
    Ok(Trial { since: now, until, who: who.to_owned() })
}
