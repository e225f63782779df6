"""HTTP proxies that the environment names: keep them from loopback, and name the one that stands before a server."""

import os
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")
NO_PROXY = ("no_proxy", "NO_PROXY")  # some clients read one, some the other
EVERYTHING = "*"  # which most clients know only where it stands alone


def keep_loopback_direct(*hosts: str) -> None:
    """Take servers on loopback, and the hosts given, off the proxies of this process and those that it starts."""
    for name in NO_PROXY:
        listed = [host for host in os.environ.get(name, "").replace(" ", "").split(",") if host]
        if EVERYTHING not in listed:
            os.environ[name] = ",".join(dict.fromkeys([*listed, *LOOPBACK, *hosts]))


def proxy_before(url: str) -> str:
    """Return a sentence that names the proxy that requests for a URL go through, or '' where there is none.

    Example:
        >>> os.environ["HTTP_PROXY"] = "http://ada:secret@proxy.example:3128"
        >>> proxy_before("http://minio.example:9000")
        ' It was asked through the proxy http://proxy.example:3128 (HTTP_PROXY); NO_PROXY does not name minio.example.'
        >>> del os.environ["HTTP_PROXY"]
    """
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    host, proxies = parts.hostname or "", getproxies()
    scheme = next((one for one in (parts.scheme, "all") if one in proxies), None)
    if not host or scheme is None or proxy_bypass(host):
        return ""
    proxy = urlsplit(proxies[scheme])
    port = f":{proxy.port}" if proxy.port else ""
    return (
        f" It was asked through the proxy {proxy.scheme}://{proxy.hostname}{port} ({scheme.upper()}_PROXY); "
        f"NO_PROXY does not name {host}."
    )
