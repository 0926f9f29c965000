"""Looks the names of endpoints up, in a thread that neither an interrupt nor the exit waits for.

The codec asks for names while it parses. So the names are collected first, then looked up in the
thread, and then the codec gets the answers. `opening` calls it.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from holloway.control.resolve import SystemResolver
from holloway.errors import ConfigError
from holloway.model import Endpoint
from holloway.net.daemon_thread import in_daemon_thread

if TYPE_CHECKING:
    from holloway.net.settings import Settings

    Question = tuple[str, ...]
    """A service, or host, service and text of an endpoint."""
    Answers = dict[Question, int | Endpoint | ConfigError]

log = logging.getLogger(__name__)


async def look_up_endpoints(settings: Settings) -> Settings:
    """Have the system look up endpoints, and retry as long as wg(8); raises ConfigError."""
    if settings.source is None:
        return settings
    collector = _Collector()
    settings.resolved(collector)
    given_up = threading.Event()

    def sleep(seconds: float) -> None:
        if given_up.wait(seconds):
            raise ConfigError("looking up the endpoint was cancelled")

    resolver = SystemResolver(lambda sentence: log.warning("%s", sentence), sleep=sleep)
    try:
        answers = await in_daemon_thread(_look_up, resolver, collector.questions)
    finally:
        given_up.set()
    return settings.resolved(_Answering(resolver, answers))


def _look_up(resolver: SystemResolver, questions: list[Question]) -> Answers:
    """Ask the system one question after the other, until one fails."""
    answers: Answers = {}
    for question in questions:
        try:
            match question:
                case (service,):
                    answers[question] = resolver.port(service)
                case (host, service, text):
                    answers[question] = resolver.endpoint(host, service, text)
        except ConfigError as error:
            answers[question] = error
            break
    return answers


class _Collector:
    """A `text.resolver.Resolver` that notes what it is asked."""

    def __init__(self) -> None:
        self.questions: list[Question] = []

    def port(self, service: str) -> int:
        self.questions.append((service,))
        return 0

    def endpoint(self, host: str, service: str, text: str) -> Endpoint:
        self.questions.append((host, service, text))
        return Endpoint("0.0.0.0", 0)  # noqa: S104  # never used

    def warn(self, sentence: str) -> None:
        """The answering resolver warns."""


class _Answering:
    """A `text.resolver.Resolver` that has all answers, or the error of the last one."""

    def __init__(self, resolver: SystemResolver, answers: Answers) -> None:
        self._answers = answers
        self.warn = resolver.warn

    def port(self, service: str) -> int:
        answer = self._answer(service)
        assert isinstance(answer, int)
        return answer

    def endpoint(self, host: str, service: str, text: str) -> Endpoint:
        answer = self._answer(host, service, text)
        assert isinstance(answer, Endpoint)
        return answer

    def _answer(self, *question: str) -> int | Endpoint:
        answer = self._answers[question]
        if isinstance(answer, ConfigError):
            raise answer
        return answer
