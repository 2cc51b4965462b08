//! Recordings: a valid WAV file with a quiet tone, the same for the same call.

/// Samples per second; what a telephone carries.
const RATE: u32 = 8_000;

/// A 16-bit PCM WAV of `seconds`, with one channel or two.
pub(crate) fn tone(seconds: u32, channels: u16) -> Vec<u8> {
    let frames = seconds.max(1) * RATE;
    let block = u32::from(channels) * 2;
    let data = frames * block;
    let mut wav = Vec::with_capacity(44 + usize::try_from(data).unwrap_or(0));
    wav.extend(b"RIFF");
    wav.extend((36 + data).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    wav.extend(1_u16.to_le_bytes());
    wav.extend(channels.to_le_bytes());
    wav.extend(RATE.to_le_bytes());
    wav.extend((RATE * block).to_le_bytes());
    wav.extend((channels * 2).to_le_bytes());
    wav.extend(16_u16.to_le_bytes());
    wav.extend(b"data");
    wav.extend(data.to_le_bytes());
    for frame in 0..frames {
        // A triangle of 400 Hz: twenty samples up and down between -2000 and 2000.
        let step = i16::try_from(frame % 20).unwrap_or(0);
        let sample = if step < 10 { step * 400 - 2000 } else { 6000 - step * 400 };
        for _ in 0..channels {
            wav.extend(sample.to_le_bytes());
        }
    }
    wav
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_tells_the_truth_about_what_follows() {
        for channels in [1, 2] {
            let wav = tone(2, channels);
            let field = |at: usize| u32::from_le_bytes(wav[at..at + 4].try_into().unwrap());
            assert_eq!(&wav[..4], b"RIFF");
            assert_eq!(usize::try_from(field(4)).unwrap() + 8, wav.len());
            assert_eq!(usize::try_from(field(40)).unwrap() + 44, wav.len());
            assert_eq!(field(40) / field(28), 2);
        }
    }
}
