"""What panel and console both drive: prompts in, masks out, labels kept."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from napari.components import ViewerModel
from napari.utils.notifications import show_error
from psygnal import Signal

from napari_sam3.core.errors import StateError
from napari_sam3.core.journal import Journal
from napari_sam3.viewer.accepting import Accepting
from napari_sam3.viewer.asking import told_as
from napari_sam3.viewer.bench import Bench
from napari_sam3.viewer.engine import Engine, ModelChoice, shared_engine
from napari_sam3.viewer.follower import real
from napari_sam3.viewer.prompting import Prompting
from napari_sam3.viewer.records import write_records
from napari_sam3.viewer.replay import Replay, Report
from napari_sam3.viewer.saving import save
from napari_sam3.viewer.scanning import scan_ids
from napari_sam3.viewer.status import Status

__all__ = ["Session"]


class Session(Prompting):
    """One viewer's segmentation: from prompts to labels.

    Made by `napari_sam3.attach`; the panel drives the same object. All methods
    belong to the main thread. What a model computes comes in later: a viewer
    delivers it by itself, a script calls `wait`.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        With the layers; no window is needed. Held weakly.
    engine : Engine, optional
        Thread, models and embeddings; by default those of the process.
    choice : ModelChoice, optional
        The model to begin with.
    fallback : ModelChoice, optional
        Who answers if that one cannot be loaded; without it every question tries to
        load it again.

    Attributes
    ----------
    status_changed : Signal
        With the new `Status`.
    preview_changed : Signal
        With the `Preview`, or None.
    changed : Signal
        Anything else that a panel shows: layers, settings, history, objects.
    started : Signal
        The session waits for answers: `deliver` will have to be called.
    replayed : Signal
        With the `Report` of a replay.
    closed : Signal
        It has ended.
    """

    status_changed = Signal(Status)
    preview_changed = Signal(object)
    changed = Signal()
    started = Signal()
    replayed = Signal(object)
    closed = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        *,
        engine: Engine | None = None,
        choice: ModelChoice | None = None,
        fallback: ModelChoice | None = None,
    ) -> None:
        engine, choice = engine or shared_engine(), choice or ModelChoice()
        bench = Bench(real(viewer), engine, choice, fallback)
        super().__init__(bench)
        self._accepting = Accepting(self._bench)
        self._replay = Replay(self._bench)
        self._is_waiting = False
        self._is_closed = False
        bench.asking.status_changed.connect(self.status_changed.emit)
        bench.asking.started.connect(self.started.emit)
        bench.asking.failed.connect(self._tell_error)
        bench.switch.failed.connect(self._tell_error)
        bench.preview_changed.connect(self.preview_changed.emit)
        bench.changed.connect(self.changed.emit)
        self._accepting.refused.connect(self._tell_error)
        self._accepting.accepted.connect(self._on_accepted)
        self._replay.finished.connect(self.replayed.emit)
        bench.refresh()

    # Results

    def accept(self) -> int:
        """Write the preview's mask into the labels, once it is there.

        Returns
        -------
        int
            Number of the object: the next free one, or that of the object that
            is refined.

        Raises
        ------
        StateError
            If there is no mask, or the mode is "many".
        LayerError
            If the Labels layer cannot take it.
        """
        if self.mode == "many":
            raise StateError(
                "In the mode 'many' there are many objects; use accept_all()."
            )
        return self.accept_all()[0]

    def accept_all(self) -> list[int]:
        """Write all objects of the preview into the labels, once they are there.

        Returns
        -------
        list of int
            Their numbers, in the order of their prompts. One that lies wholly
            under others is left out.

        Raises
        ------
        StateError, LayerError
            As in `accept`.
        """
        self._bench.ask()  # again, if it was cancelled or failed
        scan_ids(self._bench.asking, self._bench.results)
        self.wait()
        return self._accepting.accept()

    def accept_when_ready(self) -> None:
        """Accept now or as soon as the mask is there, without waiting."""
        self._accepting.accept_when_ready()

    def refine(self, label: int) -> None:
        """Take up an object again: its mask is corrected by further clicks.

        Its prompts are shown again, and it keeps its number when accepted. The mode
        becomes "one".

        Parameters
        ----------
        label : int
            An object of `labels` with pixels on the shown plane, by whomever it
            was made.

        Raises
        ------
        StateError
            If there is no Labels layer, or the number is 0 or negative.
        """
        self._accepting.check_refinable(int(label))
        self.mode = "one"
        self._accepting.refine(int(label))

    def undo(self) -> bool:
        """Take back the last step on the shown plane.

        Steps are prompts, chosen candidates, and accepted objects: of these the
        pixels that still are as they were written get their former labels.

        Returns
        -------
        bool
            False if there was none.
        """
        done = self._bench.undo()
        if done:
            self._bench.echo("s.undo()")
        return done

    def redo(self) -> bool:
        """Take the step again that was taken back last; False if there is none."""
        done = self._bench.redo()
        if done:
            self._bench.echo("s.redo()")
        return done

    # Prompts of accepted objects

    def export_prompts(self, path: str | os.PathLike[str]) -> None:
        """Write the prompts of the accepted objects as JSON; see `Journal`.

        Raises
        ------
        FileError
            If the file cannot be written.
        """
        self._bench.results.journal().save(Path(path))

    def load_prompts(self, path: str | os.PathLike[str]) -> None:
        """Read prompts that were exported; `refine` and `replay` then know them.

        The objects' pixels do not change. Without a Labels layer an empty one is
        made.

        Raises
        ------
        FileError
            If it is no such file.
        """
        journal = Journal.load(Path(path))
        write_records(self._bench.results.ensure(self._bench.image), journal.values())
        self._bench.echo(f"s.load_prompts({os.fspath(path)!r})")
        self._bench.changed.emit()

    def replay(self, model: str | None = None, *, write: bool = False) -> Report:
        """Run the prompts of all accepted objects again, and wait for it.

        Parameters
        ----------
        model : str, optional
            Catalog id or weights file; by default the session's model.
        write : bool, optional
            Whether to write the new masks into a new Labels layer.

        Returns
        -------
        Report
            For every object the IoU of its new mask with its pixels as they are.

        Raises
        ------
        StateError
            If no object remembers its prompts, or the replay was cancelled.
        """
        self.start_replay(model, write=write)
        self.wait()
        report = self._replay.report
        if report is None:
            raise StateError("The replay was cancelled; start it again.")
        return report

    def start_replay(
        self,
        model: str | None = None,
        *,
        write: bool = False,
        may_download: bool = True,
    ) -> None:
        """Begin a `replay`; its report comes as the signal ``replayed``.

        Without ``may_download`` a model whose weights are not here is refused.
        """
        self._replay.start(model, write, may_download)

    def save_labels(self, path: str | os.PathLike[str], *, wait: bool = True) -> None:
        """Save the labels as TIFF, and their prompts as JSON beside it.

        Parameters
        ----------
        path : path
            Of the TIFF. ``cells.tif`` gets ``cells.prompts.json`` beside it,
            which `load_prompts` reads.
        wait : bool, optional
            Whether to return only when the files are there.

        Raises
        ------
        StateError
            If there are no labels.
        FileError
            If a file cannot be written.
        """
        if self.labels is None:
            raise StateError("There are no labels yet; accept an object first.")
        target = Path(path)
        if target.suffix.lower() not in (".tif", ".tiff"):
            target = target.with_name(target.name + ".tif")
        work = partial(save, target, self.labels.data, self._bench.results.journal())
        self._bench.asking.ask(work, self._on_saved, is_request=False)
        if wait:
            self.wait()

    # Waiting

    def wait(self, timeout: float | None = None) -> None:
        """Wait until everything that was asked for is there.

        Parameters
        ----------
        timeout : float, optional
            Seconds; without it as long as it takes.

        Raises
        ------
        TimeoutError
            If it took longer.
        Sam3Error
            If the last thing that was asked for went wrong.
        """
        self._is_waiting = True
        try:
            self._bench.asking.wait(timeout)
        finally:
            self._is_waiting = False

    def deliver(self) -> None:
        """Take what has come from the inference thread, without waiting."""
        self._bench.asking.deliver()

    def cancel(self) -> None:
        """Give up what is being computed; the prompts stay."""
        self._bench.cancel()

    def close(self) -> None:
        """End the session: what was accepted stays, the preview goes. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._bench.close()
            self.closed.emit()

    def as_python(self) -> str:
        """Return what was done so far as a program that does it again.

        Returns
        -------
        str
            It starts from a viewer with the same layers, named ``viewer``.
        """
        return str(self._bench.script)

    def _on_saved(self, path: Path) -> None:
        self._bench.asking.status = Status(f"saved {path.name}")

    def _on_accepted(self, labels: list[int]) -> None:
        many = self.mode == "many"
        self._bench.echo("s.accept_all()" if many else "s.accept()")

    def _tell_error(self, error: Exception) -> None:
        # Who waits gets it raised.
        if not self._is_waiting:
            show_error(told_as(error))
