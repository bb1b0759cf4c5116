//! Who is at the other end of the control socket.

use std::fs;

/// The name of a user, from the password file; `uid N` where it has none there.
///
/// The kernel vouches for the number. Nothing that the peer's environment says, `SUDO_USER` included, is believed.
pub(super) fn user_name(uid: u32) -> String {
    fs::read_to_string("/etc/passwd")
        .ok()
        .and_then(|passwd| name_in(&passwd, uid))
        .unwrap_or_else(|| format!("uid {uid}"))
}

fn name_in(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let found: u32 = fields.nth(1)?.parse().ok()?;
        (found == uid && !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic())).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_file_names_the_user() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nbroken\n:x:7::\nnoc:x:1000:1000::/home/noc:/bin/sh\n";
        assert_eq!(name_in(passwd, 0).as_deref(), Some("root"));
        assert_eq!(name_in(passwd, 1000).as_deref(), Some("noc"));
        assert_eq!(name_in(passwd, 7), None);
        assert_eq!(name_in(passwd, 8), None);
        assert_eq!(user_name(u32::MAX - 1), format!("uid {}", u32::MAX - 1));
    }
}
