//! Random bytes of the operating system.

use anyhow::anyhow;

/// Returns what nobody guesses. It is in the path of the API, too: other users of this machine would run pods as this user.
pub(super) fn secret() -> anyhow::Result<String> {
    let bytes: [u8; 16] = random()?;
    Ok(bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}")))
}

/// Returns random bytes.
pub(super) fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no random bytes: {error}"))?;
    Ok(bytes)
}
