"""Shows how far a fit is: pictures, labels, steps, time left, and the head's scores on held-out pictures."""

from tqdm import tqdm

from .trainer import Measured

_BAR = "{desc} {percentage:3.0f}%|{bar:20}| {elapsed}{postfix}"


class Progress:
    """A progress bar over the steps of the training. Call `close` at the end.

    The time left is what the remaining pictures and steps take at their mean paces so far. A picture's time is how long
    the training waited for it.
    """

    def __init__(self, pictures: int):
        self._pictures = pictures
        self._labelled_in = self._trained_in = 0.0
        self._labelled_now = self._steps_now = 0
        self._measured: Measured | None = None
        self._bar = tqdm(total=100, desc="fit", bar_format=_BAR)

    def labelled(self, seconds: float) -> None:
        """A picture was labelled after a wait of `seconds`."""
        self._labelled_in, self._labelled_now = self._labelled_in + seconds, self._labelled_now + 1

    def trained(self, seconds: float, steps: int) -> None:
        """Steps were taken in this process, in `seconds`."""
        self._trained_in, self._steps_now = self._trained_in + seconds, self._steps_now + steps

    def measured(self, measured: Measured) -> None:
        """The head was measured."""
        self._measured = measured

    def show(self, *, pictures: int, tokens: int, step: int, last_step: int, is_labelling: bool) -> None:
        """Update the bar. is_labelling: whether pictures are still being labelled."""
        left = 0.0
        if self._steps_now:
            left += (last_step - step) * self._trained_in / self._steps_now
        if self._labelled_now and is_labelling:
            left += (self._pictures - pictures) * self._labelled_in / self._labelled_now
        done = self._labelled_in + self._trained_in
        self._bar.n = round(100 * done / (done + left)) if done else 0
        scores = {}
        if self._measured is not None:
            scores = {"F1": f"{self._measured.f1:.3f}", "Spearman": f"{self._measured.spearman:.3f}"}
        self._bar.set_postfix(
            {
                "pictures": f"{pictures}/{self._pictures}",
                "labels": tokens,
                "step": f"{step}/{last_step}",
                **scores,
                "left": _duration(left),
            }
        )

    def close(self) -> None:
        self._bar.close()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
