"""Videos through a translator: alone, in folders, stabilised, stopped and gone on with."""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from img2img.engine.translator import Translator
from img2img.errors import DataError, TranslationInterrupted, VideoError
from img2img.images import Picture, read_picture, write_picture
from img2img.networks import Generator
from img2img.translate.folder import translate_folder
from img2img.translate.frames import FrameTranslator
from img2img.translate.options import FolderOptions, VideoOptions
from img2img.translate.video import translate_to_images, translate_video
from img2img.video import Frame, Span, frames, probe
from img2img.video.footage import Film
from tests.engine.conftest import translator
from tests.video.clips import Sound, frame_times, make_clip, packets, picture, pixels, same_packets


class Same(Generator):
    """Gives what it takes."""

    size_multiple = min_size = 1

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()), requires_grad=False)

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        return x * self.weight


class Dark(Same):
    """Black and grey."""

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        return x * 0.2 - 0.8


class Flickering(Same):
    """Darker and brighter, image by image."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        self.count += 1
        return x * 0.8 + (0.1 if self.count % 2 else -0.1)


@pytest.fixture
def same() -> Translator:
    return translator(Same())


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", sounds=[Sound()], subtitles=[("mov_text", "eng")])


def given(count: int = 6, *, still: bool = False) -> list[Frame]:
    return [
        Frame(picture(0 if still else number), number, 1, concealed=False)
        for number in range(count)
    ]


class TestTranslateVideo:
    def test_everything_but_the_pictures_stays(
        self, tmp_path: Path, clip: Path, same: Translator
    ) -> None:
        made = translate_video(same, clip, tmp_path / "out.mp4")
        assert (made.frames, made.concealed, made.resumed, made.size) == (25, 0, 0, (48, 64))
        assert frame_times(made.target) == frame_times(clip)
        for kind in ("audio", "subtitles"):
            same_packets(packets(made.target, kind), packets(clip, kind))
        apart = pixels(made.target).mean((0, 1, 2)) - pixels(clip).mean((0, 1, 2))
        assert np.abs(apart).max() < 1.5  # of every channel

    def test_frames_are_those_of_pictures(self, tmp_path: Path, tiny_generator: Generator) -> None:
        """Lossless in and out: what the translator makes of each frame by itself."""
        source = make_clip(tmp_path / "in.mkv", times=range(5), codec="ffv1")
        one = translator(tiny_generator)
        made = list(FrameTranslator(one, "off")(frames(probe(source))))
        assert [frame.pts for frame in made] == [frame.pts for frame in frames(probe(source))]
        for frame, result in zip(frames(probe(source)), made, strict=True):
            alone = one.translate(frame.pixels).astype(int)
            assert np.abs(alone - result.pixels).max() <= 1  # of rounding, in a batch

    def test_deep_frames_stay_deep(self, same: Translator) -> None:
        deep = [
            replace(frame, pixels=frame.pixels.astype(np.uint16) * 257 + 3) for frame in given()
        ]
        for frame, result in zip(deep, FrameTranslator(same, "off")(iter(deep)), strict=True):
            assert result.pixels.dtype == np.uint16
            assert np.array_equal(frame.pixels, result.pixels)

    @pytest.mark.parametrize("max_side", [33, 32, 21])
    def test_reduced_to_even_sizes(self, tmp_path: Path, clip: Path, max_side: int) -> None:
        made = translate_video(translator(Same(), max_side=max_side), clip, tmp_path / "out.mp4")
        assert max(made.size) == max_side // 2 * 2
        assert made.size[0] % 2 == 0
        with av.open(str(made.target)) as video:
            assert video.streams.video[0].format.name == "yuv420p"

    def test_odd_sizes_that_were_asked_for(self, tmp_path: Path, clip: Path) -> None:
        made = translate_video(translator(Same(), resize=(31, 47)), clip, tmp_path / "out.mp4")
        assert made.size == (31, 47)

    def test_webm_gets_a_codec_that_it_takes(self, tmp_path: Path, same: Translator) -> None:
        source = make_clip(tmp_path / "in.mkv", times=range(4))
        made = translate_video(same, source, tmp_path / "out.webm")
        assert probe(made.target).codec == "vp9"

    def test_dropout_is_off(self, tiny_generator: Generator) -> None:
        """With it, frames of a still video would differ."""
        one = translator(tiny_generator)
        for module in tiny_generator.modules():
            if isinstance(module, nn.Dropout):
                module.train()
        spec = one.spec.model_copy(update={"dropout": True})
        restless = Translator(tiny_generator, spec, device="cpu", precision="fp32")
        made = list(FrameTranslator(restless, "off")(iter(given(3, still=True))))
        assert all(np.array_equal(frame.pixels, made[0].pixels) for frame in made)

    def test_what_is_said_is_said_once(
        self, tmp_path: Path, clip: Path, tiny_generator: Generator
    ) -> None:
        """However many segments a video has, and scenes a folder."""
        spec = translator(tiny_generator).spec.model_copy(update={"dropout": True})
        restless = Translator(tiny_generator, spec, device="cpu", precision="fp32")
        told: list[str] = []
        options = FolderOptions(stabilize="light")
        translate_video(restless, clip, tmp_path / "out.mp4", options, say=told.append)
        assert [line.split()[0].strip(",") for line in told] == ["dropout", "scale"]
        for shot in ("one", "two"):
            for number in range(3):
                path = tmp_path / "shots" / shot / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture(number)).save(path)
        told.clear()
        translate_folder(restless, tmp_path / "shots", tmp_path / "out", options, say=told.append)
        assert [line.split()[0].strip(",") for line in told] == ["dropout"]

    def test_a_frame_that_fails_fails_the_video(self, tmp_path: Path, clip: Path) -> None:
        class Failing(Same):
            def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
                if x.is_meta:  # only asked how much it would take
                    return x
                raise MemoryError

        with pytest.raises(VideoError, match="the frame at 0: not enough memory"):
            translate_video(translator(Failing(), tile="off"), clip, tmp_path / "out.mp4")
        assert not (tmp_path / "out.mp4").exists()


class TestStabilized:
    @pytest.mark.parametrize("strength", ["light", "strong"])
    def test_flicker_falls(self, strength: Any) -> None:
        def swing(stabilize: Any) -> float:
            one = translator(Flickering(), batch=1)
            made = FrameTranslator(one, stabilize)(iter(given(12, still=True)))
            means = [frame.pixels.mean() for frame in made]
            return float(np.abs(np.diff(means)).mean())

        assert swing(strength) < (0.75 if strength == "light" else 0.4) * swing("off")

    def test_a_still_video_stays_still(self, tiny_generator: Generator) -> None:
        one = translator(tiny_generator)
        made = list(FrameTranslator(one, "strong")(iter(given(5, still=True))))
        assert all(np.array_equal(frame.pixels, made[0].pixels) for frame in made)

    def test_it_begins_anew_at_a_cut(self, tiny_generator: Generator) -> None:
        one = translator(tiny_generator)
        noise = np.random.default_rng(0).integers(0, 256, (4, 48, 64, 3), dtype=np.uint8)
        other = [Frame(each, 10 + n, 1, concealed=False) for n, each in enumerate(noise[:1])]
        made = list(FrameTranslator(one, "strong")(iter([*given(4), *other])))
        alone = list(FrameTranslator(one, "strong")(iter(other)))
        assert np.array_equal(made[4].pixels, alone[0].pixels)
        assert not np.array_equal(made[3].pixels, one.translate(given(4)[3].pixels))

    def test_going_on_from_a_state(self, tiny_generator: Generator) -> None:
        one = translator(tiny_generator)
        whole = [frame.pixels for frame in FrameTranslator(one, "strong")(iter(given(8)))]
        first, second = (FrameTranslator(one, "strong") for _ in range(2))
        begun = [frame.pixels for frame in first(iter(given(8)[:5]))]
        second.restore({name: array.copy() for name, array in first.state().items()})
        ended = [frame.pixels for frame in second(iter(given(8)[5:]))]
        for got, wanted in zip([*begun, *ended], whole, strict=True):
            assert np.array_equal(got, wanted)


class TestToImages:
    def test_numbered_and_lossless(self, tmp_path: Path, clip: Path, same: Translator) -> None:
        made = translate_to_images(same, clip, tmp_path / "frames", VideoOptions(every=3))
        paths = sorted((tmp_path / "frames").glob("0*"))
        assert [path.name for path in paths[:2]] == ["000001.png", "000002.png"]
        assert made.frames == len(paths) == 9
        wanted = frames(probe(clip), Span(every=3))
        for path, frame in zip(paths, wanted, strict=True):
            assert np.array_equal(read_picture(path).pixels, frame.pixels)

    def test_other_formats(self, tmp_path: Path, clip: Path, same: Translator) -> None:
        options = VideoOptions(end=0.1, image_format="jpg")
        translate_to_images(same, clip, tmp_path / "frames", options)
        assert [path.name for path in sorted((tmp_path / "frames").glob("0*"))] == [
            "000001.jpg",
            "000002.jpg",
            "000003.jpg",
        ]

    def test_a_part_without_frames(self, tmp_path: Path, clip: Path, same: Translator) -> None:
        with pytest.raises(VideoError, match="no frames between"):
            translate_to_images(same, clip, tmp_path / "frames", VideoOptions(start=9))


class TestFolders:
    @pytest.fixture
    def mixed(self, tmp_path: Path, clip: Path) -> Path:
        folder = tmp_path / "in"
        (folder / "deep").mkdir(parents=True)
        clip.rename(folder / "deep" / "clip.mp4")
        make_clip(folder / "old.avi", times=range(3), codec="mpeg4")
        Image.fromarray(picture(0)).save(folder / "a.png")
        (folder / "broken.mp4").write_bytes(b"no video")
        return folder

    def test_videos_among_images(self, tmp_path: Path, mixed: Path, same: Translator) -> None:
        told: list[str] = []
        report = translate_folder(same, mixed, tmp_path / "out", say=told.append)
        made = {path.relative_to(tmp_path / "out").as_posix() for path in report.written}
        assert made == {"a.png", "deep/clip.mp4", "old.mp4"}
        assert list(report.failed) == [mixed / "broken.mp4"]
        assert "cannot be read as a video" in report.failed[mixed / "broken.mp4"]
        counts = {path.name: video.frames for path, video in report.videos.items()}
        assert counts == {"clip.mp4": 25, "old.avi": 3}
        json.dumps(report.to_json())
        assert not [path for path in (tmp_path / "out").rglob(".*img2img") if path.is_dir()]

    def test_skip_existing(self, tmp_path: Path, mixed: Path, same: Translator) -> None:
        (mixed / "broken.mp4").unlink()
        out = tmp_path / "out"
        options: dict[str, Any] = {"skip_existing": True}
        assert len(translate_folder(same, mixed, out, **options).written) == 3
        assert len(translate_folder(same, mixed, out, **options).skipped) == 3
        other = translate_folder(same, mixed, out, crf=30, **options)
        assert {path.name for path in other.written} == {"clip.mp4", "old.mp4"}

    def test_skip_existing_where_the_container_became_another(
        self, tmp_path: Path, same: Translator
    ) -> None:
        source = make_clip(tmp_path / "in.mkv", times=range(3), sounds=[Sound("flac")])
        options: dict[str, Any] = {"skip_existing": True, "container": "webm"}
        first = translate_folder(same, source, tmp_path / "out", **options)
        assert [path.name for path in first.written] == ["in.mkv"]
        assert translate_folder(same, source, tmp_path / "out", **options).skipped == [source]

    def test_frames_of_a_folder(self, tmp_path: Path, mixed: Path, same: Translator) -> None:
        video = FolderOptions(frames=True, end=0.1)
        with pytest.raises(DataError, match=r"`end`.*a\.png"):  # a picture has no end
            translate_folder(same, mixed, tmp_path / "out", video)
        (mixed / "a.png").unlink()
        report = translate_folder(same, mixed, tmp_path / "out", video)
        assert len(list((tmp_path / "out" / "deep" / "clip").glob("0*"))) == 3
        assert (tmp_path / "out" / "old" / "000001.png").is_file()
        assert len(report.failed) == 1

    def test_the_input_is_not_overwritten(
        self, tmp_path: Path, clip: Path, same: Translator
    ) -> None:
        before = clip.read_bytes()
        with pytest.raises(DataError, match="overwrite the input"):
            translate_folder(same, clip, clip)
        assert clip.read_bytes() == before

    def test_in_place(self, tmp_path: Path, clip: Path) -> None:
        """With `overwrite` the result takes the input's place, once."""
        folder = clip.parent
        times, dark = frame_times(clip), translator(Dark())
        report = translate_folder(dark, folder, folder, overwrite=True)
        assert report.written == [clip]
        assert frame_times(clip) == times
        assert pixels(clip).mean() < 70
        again = translate_folder(dark, folder, folder, overwrite=True, skip_existing=True)
        assert (again.skipped, again.written) == ([clip], [])
        assert {path.name for path in folder.iterdir()} == {"clip.mp4", ".img2img.jsonl"}

    def test_two_that_would_become_one(self, tmp_path: Path, same: Translator) -> None:
        """Sound without a place makes one a Matroska file, where another has that name."""
        folder = tmp_path / "in"
        folder.mkdir()
        make_clip(folder / "a.avi", times=range(3), codec="mpeg4", sounds=[Sound("pcm_s16le")])
        make_clip(folder / "a.mkv", times=range(5))
        out = tmp_path / "out"
        report = translate_folder(same, folder, out)
        assert {path.name for path in report.written} == {"a.mp4.mkv", "a.mkv"}
        assert [len(frame_times(out / name)) for name in ("a.mp4.mkv", "a.mkv")] == [3, 5]
        assert len(translate_folder(same, folder, out, skip_existing=True).skipped) == 2

    def test_a_file_nobody_named_stays(self, tmp_path: Path, same: Translator) -> None:
        source = make_clip(
            tmp_path / "a.avi", times=range(3), codec="mpeg4", sounds=[Sound("pcm_s16le")]
        )
        own = tmp_path / "pre.mkv"
        own.write_bytes(b"mine")
        report = translate_folder(same, source, tmp_path / "pre.mp4")
        assert "pre.mkv" in report.failed[source]
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "a.mkv").write_bytes(b"mine")
        report = translate_folder(same, source, tmp_path / "out")
        assert [path.name for path in report.written] == ["a.mp4.mkv"]
        assert own.read_bytes() == (tmp_path / "out" / "a.mkv").read_bytes() == b"mine"

    def test_settings_of_images_do_not_concern_videos(
        self, tmp_path: Path, clip: Path, same: Translator
    ) -> None:
        translate_folder(same, clip, tmp_path / "out")
        options: dict[str, Any] = {"skip_existing": True}
        with pytest.raises(DataError, match="`quality`"):
            translate_folder(same, clip, tmp_path / "out", quality=80, **options)
        Image.fromarray(picture(0)).save(clip.parent / "a.png")
        options |= {"quality": 80, "image_format": "jpg"}
        assert translate_folder(same, clip.parent, tmp_path / "out", **options).skipped == [clip]

    def test_frames_of_an_earlier_call_go(
        self, tmp_path: Path, clip: Path, same: Translator
    ) -> None:
        folder = tmp_path / "frames"
        translate_to_images(same, clip, folder)
        translate_to_images(same, clip, folder, VideoOptions(every=5, image_format="jpg"))
        assert sorted(path.name for path in folder.glob("0*")) == [
            f"00000{number}.jpg" for number in range(1, 6)
        ]
        other = tmp_path / "mine"
        other.mkdir()
        (other / "000001.png").write_bytes(b"mine")
        with pytest.raises(DataError, match="files that img2img did not make"):
            translate_to_images(same, clip, other)
        assert (other / "000001.png").read_bytes() == b"mine"

    def test_stopped_in_a_video(self, tmp_path: Path, clip: Path) -> None:
        """Ctrl-C says what is done, and the same call makes what one that is not stopped makes."""

        class Interrupted(Same):
            left = 14

            def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
                Interrupted.left -= len(x)
                if Interrupted.left == 0:
                    signal.raise_signal(signal.SIGINT)
                return super().forward(x)

        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            one = translator(Interrupted(), batch=1)
            with pytest.raises(
                TranslationInterrupted, match=r"no part of out\.mp4 is finished yet"
            ) as caught:
                translate_folder(one, clip, tmp_path / "out.mp4")
            assert caught.value.report.written == []
            assert not (tmp_path / "out.mp4").exists()
            report = translate_folder(one, clip, tmp_path / "out.mp4")
        finally:
            signal.signal(signal.SIGINT, handler)
        assert report.videos[clip].frames == 25
        assert frame_times(tmp_path / "out.mp4") == frame_times(clip)


Command = Callable[..., Any]


class TestCommand:
    @pytest.fixture
    def model(self, tiny_run: Path) -> Path:
        return tiny_run

    def test_report(self, tmp_path: Path, clip: Path, model: Path, img2img: Command) -> None:
        out = tmp_path / "out.mkv"
        line = ["--model", model, "--input", clip, "--output", out, "--stabilize", "light"]
        outcome = img2img("translate", *line)
        assert outcome.status == 0, outcome.err
        assert "25 frames to" in outcome.out
        outcome = img2img("translate", *line, "--json")
        (video,) = json.loads(outcome.out)["videos"].values()
        assert (video["frames"], video["target"]) == (25, str(out))

    @pytest.mark.parametrize(
        ("start", "end", "count"), [("0.2", "0.6", 10), ("0:00.8", None, 5), ("0:0:0", "1:00", 25)]
    )
    def test_times(
        self,
        tmp_path: Path,
        clip: Path,
        model: Path,
        img2img: Command,
        start: str,
        end: str | None,
        count: int,
    ) -> None:
        out = tmp_path / "out.mp4"
        span = ["--start", start, *(["--end", end] if end else [])]
        outcome = img2img("translate", "--model", model, "--input", clip, "--output", out, *span)
        assert outcome.status == 0, outcome.err
        assert len(frame_times(out)) == count

    @pytest.mark.parametrize(
        ("options", "word"),
        [
            (["--start", "soon"], "--start"),
            (["--container", "avi"], ".mkv"),
        ],
    )
    def test_wrong_options(
        self, tmp_path: Path, clip: Path, model: Path, img2img: Command, options: Any, word: str
    ) -> None:
        line = ["--model", model, "--input", clip, "--output", tmp_path / "out"]
        outcome = img2img("translate", *line, *options)
        assert outcome.status in (1, 2)
        assert word in outcome.err
        assert "Traceback" not in outcome.err

    def test_assembled_again(
        self, tmp_path: Path, clip: Path, img2img: Command, model: Path
    ) -> None:
        line = ["--model", model, "--input", clip, "--output", tmp_path / "out", "--frames"]
        assert img2img("translate", *line).status == 0
        images = tmp_path / "out" / "clip"
        alone, like = tmp_path / "alone.mp4", tmp_path / "like.mkv"
        outcome = img2img("video", "assemble", images, "--output", alone, "--fps", "12.5")
        assert outcome.status == 0, outcome.err
        assert frame_times(alone) == [number * 0.08 for number in range(25)]
        outcome = img2img("video", "assemble", images, "--output", like, "--like", clip)
        assert outcome.status == 0, outcome.err
        assert len(frame_times(like)) == 25
        assert [data for _, data in packets(like, "audio")] == [
            data for _, data in packets(clip, "audio")
        ]

    @pytest.mark.parametrize(
        ("rate", "wanted"),
        [
            ("29.97", (30000, 1001)),
            ("23.976", (24000, 1001)),
            ("30000/1001", (30000, 1001)),
            ("24", (24, 1)),
            ("5", (5, 1)),
            ("12.5", (25, 2)),
        ],
    )
    def test_rates(
        self, tmp_path: Path, img2img: Command, rate: str, wanted: tuple[int, int]
    ) -> None:
        (tmp_path / "in").mkdir()
        for number in range(4):
            Image.fromarray(picture(number)).save(tmp_path / "in" / f"{number}.png")
        out = tmp_path / "out.mp4"
        outcome = img2img("video", "assemble", tmp_path / "in", "--output", out, "--fps", rate)
        assert outcome.status == 0, outcome.err
        found = probe(out).rate
        assert found is not None
        assert (found.numerator, found.denominator) == wanted

    @pytest.mark.parametrize(
        ("options", "white", "said"),
        [
            ([], 4095, "black and white are uint16 0..4095 (12 bits)"),
            (["--range", "0,8190"], 8190, "black and white are uint16 0..8190"),
            (["--range", "dtype"], 65535, ""),
        ],
    )
    def test_values_of_deep_images(
        self, tmp_path: Path, img2img: Command, options: list[str], white: int, said: str
    ) -> None:
        ramp = np.repeat(np.arange(4096, dtype=np.uint16).reshape(64, 64, 1), 3, axis=2)
        for number in range(2):
            write_picture(tmp_path / f"in/{number}.tif", Picture(ramp))
        coding = ["--codec", "ffv1", "--pixel-format", "yuv444p16le"]
        alone, like = tmp_path / "alone.mkv", tmp_path / "like.mkv"
        line = ["video", "assemble", tmp_path / "in", *coding, *options]
        outcome = img2img(*line, "--output", alone)
        assert outcome.status == 0, outcome.err
        assert said in outcome.err
        assert img2img(*line, "--output", like, "--like", alone).status == 0
        for video in (alone, like):
            for frame in Film(video).frames():
                assert np.abs(frame.pixels / 65535 - ramp / white).max() < 0.005
        # What img2img has written of a video is over all of its type, dark or not.
        (tmp_path / "in" / ".img2img").touch()
        outcome = img2img(*line, "--output", tmp_path / "again.mkv")
        assert ("black and white" in outcome.err) == (options == ["--range", "0,8190"])

    def test_ranges_that_are_none(self, tmp_path: Path, img2img: Command) -> None:
        (tmp_path / "in").mkdir()
        Image.fromarray(picture(0)).save(tmp_path / "in/0.png")
        for wrong in ("some", "9,9", "0,256"):
            line = ["video", "assemble", tmp_path / "in", "--output", tmp_path / "out.mp4"]
            outcome = img2img(*line, "--range", wrong)
            assert (outcome.status, "--range: " in outcome.err) == (2, True)

    def test_what_cannot_be_assembled(self, tmp_path: Path, img2img: Command) -> None:
        folder = tmp_path / "in"
        line = ["video", "assemble", folder, "--output", tmp_path / "out.mp4"]
        assert "no such folder" in img2img(*line).err
        folder.mkdir()
        assert "no images" in img2img(*line).err
        Image.fromarray(picture(0)).save(folder / "0.png")
        Image.fromarray(picture(0, (48, 60))).save(folder / "1.png")
        outcome = img2img(*line)
        assert (outcome.status, "60 x 48" in outcome.err) == (2, True)
        assert not list(tmp_path.glob("*.mp4"))
        assert not list(tmp_path.glob(".img2img*"))

    def test_evaluated(self, tmp_path: Path, clip: Path, img2img: Command) -> None:
        outcome = img2img("video", "evaluate", clip, clip, "--json")
        found = json.loads(outcome.out)
        assert (found["frames"], found["ratio"], found["sharpness"]) == (25, 1, 1)
        every = make_clip(tmp_path / "every.mp4", times=range(0, 25, 5))
        found = json.loads(img2img("video", "evaluate", clip, every, "--json").out)
        assert found["frames"] == 5
        late = make_clip(tmp_path / "late.mp4", times=range(1000, 1005))
        outcome = img2img("video", "evaluate", clip, late)
        assert outcome.status == 2
        assert "no frames have the same time" in outcome.err
