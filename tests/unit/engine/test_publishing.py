"""Publishing beside the asking: everything that was committed is published, and nothing twice for nothing."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from triplelake.engine.publishing import BackgroundPublisher
from triplelake.tables.publish import Published, Publisher


class Counting:
    """A publisher of which each publication is one document."""

    def __init__(self, fails: int = 0) -> None:
        self.publications = 0
        self.done = threading.Event()
        self._fails = fails

    def publish(self) -> Published:
        self.publications += 1
        if self.publications <= self._fails:
            self.done.set()
            raise OSError("no room")
        self.done.set()
        return Published(1, 2)


def background(publisher: Counting) -> BackgroundPublisher:
    return BackgroundPublisher(cast(Publisher, publisher), first_after_s=0.0)


def test_what_an_earlier_run_left_is_published_without_a_commit() -> None:
    publisher = Counting()
    with background(publisher) as published:
        pass
    assert (publisher.publications, published.documents, published.triples) == (1, 1, 2)


def test_what_is_published_already_is_not_published_again_at_the_end() -> None:
    publisher = Counting()
    with background(publisher) as published:
        published.wake()
        assert publisher.done.wait(20)
    assert publisher.publications == 1


def test_a_run_that_is_over_soon_publishes_once() -> None:
    publisher = Counting()
    with BackgroundPublisher(cast(Publisher, publisher), first_after_s=600.0) as published:
        published.wake()
        published.wake()
    assert publisher.publications == 1


def test_a_commit_after_the_last_publication_is_published_at_the_end() -> None:
    publisher = Counting()
    with background(publisher) as published:
        published.wake()
        assert publisher.done.wait(20)
        published.wake()
    assert publisher.publications == 2


def test_a_publication_that_failed_is_tried_again_and_told() -> None:
    publisher = Counting(fails=1)
    with pytest.raises(OSError, match="no room"), background(publisher) as published:
        published.wake()
        assert publisher.done.wait(20)
    assert (publisher.publications, published.documents) == (2, 1)


def test_a_signal_leaves_the_rest_to_the_next_run() -> None:
    publisher = Counting()
    with pytest.raises(KeyboardInterrupt), background(publisher):
        raise KeyboardInterrupt
    assert publisher.publications == 0
