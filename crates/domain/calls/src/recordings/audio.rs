//! What is taken for audio.

/// Bytes from the beginning of a file that tell what it is.
pub const LONGEST_HEAD: usize = 16;

/// A format of audio files that is kept and given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AudioType {
    /// RIFF/WAVE.
    Wav,
    /// MPEG layer 3.
    Mp3,
    /// Ogg: Vorbis or Opus.
    Ogg,
    /// FLAC.
    Flac,
    /// MPEG-4.
    Mp4,
    /// WebM.
    Webm,
}

impl AudioType {
    /// Every format.
    pub const ALL: [Self; 6] = [Self::Wav, Self::Mp3, Self::Ogg, Self::Flac, Self::Mp4, Self::Webm];

    /// What a file is, by what the provider declares and by how the file begins; `None` when it is no audio.
    ///
    /// A known beginning settles it. Formats that cannot be told by their beginning are believed to be what an
    /// `audio/…` header says, unless they look like a page of text: error pages come under any header.
    pub fn of(declared: Option<&str>, head: &[u8]) -> Option<Self> {
        let declared =
            declared.map(|text| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        let essence = declared.as_deref().unwrap_or("application/octet-stream");
        let is_unspecific = matches!(essence, "application/octet-stream" | "binary/octet-stream" | "");
        let named = Self::named(essence);
        if !is_unspecific && named.is_none() {
            return None;
        }
        Self::by_head(head).or_else(|| named.filter(|_| !looks_like_text(head)))
    }

    fn by_head(head: &[u8]) -> Option<Self> {
        let at = |from: usize, mark: &[u8]| head.get(from..from + mark.len()) == Some(mark);
        if at(0, b"RIFF") && at(8, b"WAVE") {
            Some(Self::Wav)
        } else if at(0, b"ID3") || matches!(head, [0xff, second, ..] if second & 0xe6 == 0xe2) {
            Some(Self::Mp3)
        } else if at(0, b"OggS") {
            Some(Self::Ogg)
        } else if at(0, b"fLaC") {
            Some(Self::Flac)
        } else if at(4, b"ftyp") {
            Some(Self::Mp4)
        } else if at(0, &[0x1a, 0x45, 0xdf, 0xa3]) {
            Some(Self::Webm)
        } else {
            None
        }
    }

    /// The format that a media type names; `audio/*` of unknown kind counts as none.
    fn named(essence: &str) -> Option<Self> {
        Some(match essence {
            "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => Self::Wav,
            "audio/mpeg" | "audio/mp3" | "audio/mpeg3" | "audio/x-mpeg-3" => Self::Mp3,
            "audio/ogg" | "audio/opus" | "audio/vorbis" => Self::Ogg,
            "audio/flac" | "audio/x-flac" => Self::Flac,
            "audio/mp4" | "audio/m4a" | "audio/x-m4a" | "audio/aac" => Self::Mp4,
            "audio/webm" => Self::Webm,
            _ => return None,
        })
    }

    /// The media type that it is given out under, and its stored name.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Wav => "audio/wav",
            Self::Mp3 => "audio/mpeg",
            Self::Ogg => "audio/ogg",
            Self::Flac => "audio/flac",
            Self::Mp4 => "audio/mp4",
            Self::Webm => "audio/webm",
        }
    }

    /// The end of a file's name.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Mp3 => "mp3",
            Self::Ogg => "ogg",
            Self::Flac => "flac",
            Self::Mp4 => "m4a",
            Self::Webm => "webm",
        }
    }

    /// The format of a stored name.
    pub fn from_stored(media_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.media_type() == media_type)
    }
}

/// The beginning of a page, a document or a message.
fn looks_like_text(head: &[u8]) -> bool {
    let head = head.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(head).trim_ascii_start();
    matches!(head.first(), None | Some(b'<' | b'{' | b'['))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(declared: Option<&str>, head: &[u8], expected: Option<AudioType>) {
        assert_eq!(AudioType::of(declared, head), expected, "{declared:?} {head:?}");
    }

    const WAVE: &[u8] = b"RIFF\x24\x00\x00\x00WAVEfmt ";

    #[test]
    fn audio_is_known_by_its_beginning_under_any_fitting_header() {
        for declared in [None, Some("audio/wav"), Some("application/octet-stream"), Some("Audio/X-WAV; a=b")]
        {
            check(declared, WAVE, Some(AudioType::Wav));
        }
        check(Some("audio/wav"), b"ID3\x04", Some(AudioType::Mp3));
        check(None, &[0xff, 0xfb, 0x90, 0x64], Some(AudioType::Mp3));
        check(None, b"OggS\x00", Some(AudioType::Ogg));
        check(None, b"fLaC\x00", Some(AudioType::Flac));
        check(None, b"\x00\x00\x00\x20ftypM4A ", Some(AudioType::Mp4));
        check(None, &[0x1a, 0x45, 0xdf, 0xa3, 0x01], Some(AudioType::Webm));
    }

    #[test]
    fn a_page_is_no_audio_whatever_it_is_called() {
        for page in [&b"<html>"[..], b"  <?xml", b"{\"error\":1}", b"\xef\xbb\xbf<p>", b""] {
            check(Some("audio/wav"), page, None);
            check(None, page, None);
        }
        check(Some("text/html"), WAVE, None);
        check(Some("image/png"), WAVE, None);
        check(None, b"MZ\x90\x00", None);
    }

    #[test]
    fn a_headless_format_is_what_its_header_says() {
        check(Some("audio/mpeg"), b"\x00\x00\x12\x34", Some(AudioType::Mp3));
        check(Some("audio/basic"), b"\x00\x00\x12\x34", None);
    }

    #[test]
    fn every_stored_name_is_read_back() {
        for kind in AudioType::ALL {
            assert_eq!(AudioType::from_stored(kind.media_type()), Some(kind));
        }
    }
}
