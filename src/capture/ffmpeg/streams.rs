//! Which of a container's streams is shown: a camera may send its picture in several sizes, and its sound.
//!
//! In: an open container, and how tall a picture is wanted. Out: one stream; of the others nothing more is fetched
//! where the protocol allows that.

use std::cmp::Reverse;

use ffmpeg_next::codec::Id;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::format::stream::Disposition;
use ffmpeg_next::{Stream, ffi, media};
use tracing::debug;

/// The smallest picture that is at least so tall, else the tallest; without a wish the best by FFmpeg's account, which
/// among the variants of a playlist has no firm choice: of these the tallest. `None` without a moving picture.
pub fn choose(input: &Input, height_px: Option<u32>) -> Option<Stream<'_>> {
    let Some(wanted) = height_px.or(is_playlist(input).then_some(u32::MAX)) else {
        return input.streams().best(media::Type::Video).filter(is_video);
    };
    let all: Vec<(u32, Stream)> = input.streams().filter(is_video).map(|stream| (height(&stream), stream)).collect();
    let heights: Vec<u32> = all.iter().map(|(height, _)| *height).collect();
    let at = nearest(&heights, wanted)?;
    debug!("of the heights {heights:?} in it {} was chosen", heights[at]);
    all.into_iter().nth(at).map(|(_, stream)| stream)
}

/// Everything else is passed over by the container's reader.
pub fn leave_out_all_but(input: &mut Input, shown: usize) {
    for mut stream in input.streams_mut().filter(|stream| stream.index() != shown) {
        // SAFETY: the stream belongs to the open container, which nobody else has; the crate has no safe way to this.
        unsafe { (*stream.as_mut_ptr()).discard = ffi::AVDiscard::AVDISCARD_ALL };
    }
}

/// Whether it is HLS.
pub fn is_playlist(input: &Input) -> bool {
    input.format().name().split(',').any(|name| name == "hls")
}

/// Whether each frame of such a stream stands for itself, as a JPEG does.
pub fn frames_stand_alone(codec: Id) -> bool {
    // SAFETY: FFmpeg's descriptions are constants.
    let about = unsafe { ffi::avcodec_descriptor_get(codec.into()).as_ref() };
    about.is_some_and(|about| about.props & ffi::AV_CODEC_PROP_INTRA_ONLY != 0)
}

/// A cover picture in a sound file is stored as a video of one frame.
fn is_video(stream: &Stream) -> bool {
    let is_cover = stream.disposition().contains(Disposition::ATTACHED_PIC);
    stream.parameters().medium() == media::Type::Video && !is_cover
}

/// In pixels, as it is sent; 0 where it is not known.
fn height(stream: &Stream) -> u32 {
    // SAFETY: the parameters live as long as the container, and are only read.
    unsafe { (*stream.parameters().as_ptr()).height }.try_into().unwrap_or(0)
}

/// The place of the smallest height that is at least the wanted one, else of the greatest; of equal ones the first.
fn nearest(heights: &[u32], wanted: u32) -> Option<usize> {
    let places = || heights.iter().copied().enumerate();
    let enough = places().filter(|(_, height)| *height >= wanted).min_by_key(|(_, height)| *height);
    enough.or_else(|| places().min_by_key(|(_, height)| Reverse(*height))).map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_that_is_tall_enough_is_chosen() {
        let heights = [1080, 360, 720, 0];
        for (wanted, chosen) in [(16, 360), (360, 360), (361, 720), (1080, 1080), (2160, 1080)] {
            assert_eq!(nearest(&heights, wanted).map(|at| heights[at]), Some(chosen), "{wanted}");
        }
        assert_eq!((nearest(&[], 360), nearest(&[0], 360)), (None, Some(0)));
        assert_eq!([144, 100, 999].map(|wanted| nearest(&[48, 144, 48, 144], wanted)), [Some(1); 3]);
    }

    #[test]
    fn a_jpeg_stands_alone_and_a_predicted_picture_does_not() {
        assert!(frames_stand_alone(Id::MJPEG));
        assert!(!frames_stand_alone(Id::H264) && !frames_stand_alone(Id::MPEG4) && !frames_stand_alone(Id::None));
    }
}
