"""The routes of files: resumable uploads, and what is told of files that are whole.

An upload begins with POST /upload/VERSION/files, whose answer names an address; bytes go there, chunk by chunk. Every
chunk may be sent again, and to any replica.
"""

import asyncio
import re

from starlette.requests import Request
from starlette.responses import Response

from tejat.serve.casing import normalise
from tejat.serve.exchange import STALLED, Json, Server, caller
from tejat.serve.fields import Fields, invalid, parse
from tejat.serve.files import Upload
from tejat.serve.gemini import file_json
from tejat.serve.problems import Problem

_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


class FileRoutes:
    """Bound to one server."""

    def __init__(self, server: Server):
        self.server, self.store = server, server.store

    async def upload(self, request: Request) -> Response:
        """POST /upload/VERSION/files: begins an upload, or, with upload_id, goes on with one."""
        commands = {word.strip().lower() for word in request.headers.get("x-goog-upload-command", "").split(",")}
        if (id := request.query_params.get("upload_id")) is None:
            if request.headers.get("x-goog-upload-protocol", "").lower() != "resumable" or commands != {"start"}:
                raise invalid("X-Goog-Upload-Protocol must be resumable, and X-Goog-Upload-Command start, to begin")
            return await self._begin(request)
        upload = await self.server.on_disk(self.store.upload, id)
        if commands == {"query"}:
            return await self._state(upload)
        if commands == {"cancel"}:
            await self.server.on_disk(self.store.cancel, upload)
            return Json({}, headers={"X-Goog-Upload-Status": "cancelled"})
        if not commands or not commands <= {"upload", "finalize"}:
            raise invalid("X-Goog-Upload-Command must be upload, finalize, query or cancel, or 'upload, finalize'")
        if "upload" in commands:
            await self._take(request, upload)
        if "finalize" not in commands:
            return await self._state(upload)
        file = await self.server.on_disk(self.store.finish, upload)
        return Json({"file": file_json(file, base(request))}, headers={"X-Goog-Upload-Status": "final"})

    async def listing(self, request: Request) -> Response:
        text = request.query_params.get("pageSize") or request.query_params.get("page_size") or "10"
        if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= 100):
            raise invalid(f"pageSize is {text[:40]!r}; give a whole number from 1 to 100")
        after = request.query_params.get("pageToken") or request.query_params.get("page_token") or None
        files, following = await self.server.on_disk(self.store.listed, caller(request).name, int(text), after)
        body = {"files": [file_json(file, base(request)) for file in files]} if files else {}
        return Json(body | ({"nextPageToken": following} if following else {}))

    async def get(self, request: Request) -> Response:
        file = await self.server.on_disk(self.store.get, caller(request).name, request.path_params["file"])
        return Json(file_json(file, base(request)))

    async def delete(self, request: Request) -> Response:
        await self.server.on_disk(self.store.delete, caller(request).name, request.path_params["file"])
        return Json({})

    async def _begin(self, request: Request) -> Response:
        async with self.server.body(request) as body:
            fields = Fields(normalise(parse(body)) if body.strip() else {})
        file = fields.object("file") or Fields({}, "file")
        for told in ("sizeBytes", "uri", "source", "state", "createTime", "updateTime", "expirationTime", "sha256Hash"):
            file.ignore(told)
        sizes = Fields(
            {
                "size": request.headers.get("x-goog-upload-header-content-length"),
                "mime": request.headers.get("x-goog-upload-header-content-type"),
            },
            "X-Goog-Upload-Header-Content",
        )
        mime = file.text("mimeType") or sizes.text("mime") or "application/octet-stream"
        wanted = {
            "mime": mime.partition(";")[0].strip().lower(),
            "size": sizes.whole("size"),
            "name": file.text("name") or None,
            "display_name": file.text("displayName", ""),
        }
        file.done()
        fields.done()
        owner = caller(request).name
        upload = await self.server.on_disk(lambda: self.store.begin(owner, **wanted))
        path = request.scope["path"]
        address = f"{base(request)}{path}?upload_id={upload.id}&upload_protocol=resumable"
        headers = {
            "X-Goog-Upload-URL": address,
            "X-Goog-Upload-Status": "active",
            "X-Goog-Upload-Chunk-Granularity": "1",
        }
        return Json({}, headers=headers)

    async def _take(self, request: Request, upload: Upload) -> None:
        """Writes one chunk as it comes. One that does not come whole leaves nothing."""
        text = request.headers.get("x-goog-upload-offset", "0")
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise invalid("X-Goog-Upload-Offset must be a whole number of bytes")
        chunk = await self.server.on_disk(self.store.chunk, upload, int(text))
        coming = aiter(request.stream())
        try:
            while True:
                async with asyncio.timeout(STALLED):
                    data = await anext(coming, None)
                if data is None:
                    break
                await self.server.on_disk(chunk.write, data)
                self.server.metrics.add("tejat_upload_bytes_total", len(data))
            await self.server.on_disk(chunk.commit)
        except TimeoutError as error:
            raise Problem("INVALID_ARGUMENT", f"no byte came for {STALLED:g} s; send the chunk again", 408) from error
        finally:
            await self.server.on_disk(chunk.close)

    async def _state(self, upload: Upload) -> Response:
        done = await self.server.on_disk(self.store.finished, upload)
        received = done.size if done else await self.server.on_disk(self.store.received, upload)
        status = "final" if done else "active"
        headers = {"X-Goog-Upload-Status": status, "X-Goog-Upload-Size-Received": str(received)}
        return Json({}, headers=headers)


def base(request: Request) -> str:
    """The server's address as this client knows it."""
    host, scheme = request.headers.get("host", ""), request.scope["scheme"]
    return f"{scheme}://{host}" if _HOST.fullmatch(host) else ""
