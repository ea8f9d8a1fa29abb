"""Which addresses may be called (hazards S16)."""

from __future__ import annotations

import pytest

from clients.urls import check_url
from domain.errors import Misconfigured


@pytest.mark.parametrize(
    "url",
    [
        "https://api.maximizer.com/octopus",
        "https://crm.escona.test:8443/MaximizerWebData/Data.svc/json",
        "https://10.1.2.3/MaximizerWebData/Data.svc",
        "https://server/MaximizerWebData/Data.svc",
        "http://127.0.0.1:5001/3.0",
        "http://localhost:5001/3.0",
        "http://[::1]:5001/3.0",
    ],
)
def test_s16_accepted(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://crm.escona.test/Data.svc",
        "http://10.1.2.3/Data.svc",
        "http://localhost.evil.example/Data.svc",
        "http://127.0.0.1.evil.example/",
        "file:///etc/passwd",
        "gopher://crm.escona.test/",
        "https://user:word@crm.escona.test/",
        "https://crm.escona.test@evil.example/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:169.254.169.254]/",
        "https://[fe80::1]/",
        "https://[fd00:ec2::254]/",
        "https://2852039166/",
        "https://0xa9fea9fe/",
        "https://0251.0376.0251.0376/",
        "https://127.1/",
        "https://0.0.0.0/",
        "https://crm.escona.test:22/",
        "https://crm.escona.test:99999/",
        "https://crm.escona.test\\@evil.example/",
        "https://crm.escona.test/a b",
        "https://crm.escona.test/\r\nHost: evil.example",
        "https://\uff0e\uff0e/",
        "https:///path",
        "https://crm.escona.test/#x",
        "crm.escona.test",
        "",
    ],
)
def test_s16_refused(url: str) -> None:
    with pytest.raises(Misconfigured):
        check_url(url)
