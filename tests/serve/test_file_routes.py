"""Files over HTTP: resumable uploads, and requests that name them."""

from asking import PNG, generate, inline, said


def test_an_upload_and_its_use(client) -> None:
    start = {"X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start"}
    sizes = {"X-Goog-Upload-Header-Content-Length": str(len(PNG)), "X-Goog-Upload-Header-Content-Type": "image/png"}
    reply = client.send("POST", "/upload/v1beta/files", {"file": {"display_name": "a"}}, start | sizes)
    assert (reply.code, reply.headers["x-goog-upload-status"]) == (200, "active")
    address = reply.headers["x-goog-upload-url"].removeprefix(client.base)
    half = {"X-Goog-Upload-Command": "upload", "X-Goog-Upload-Offset": "0"}
    for _ in range(2):
        reply = client.send("POST", address, PNG[:50], half)
        assert (reply.code, reply.headers["x-goog-upload-status"]) == (200, "active")
    asked = client.send("POST", address, b"", {"X-Goog-Upload-Command": "query"})
    assert asked.headers["x-goog-upload-size-received"] == "50"
    last = {"X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "50"}
    for _ in range(2):
        reply = client.send("POST", address, PNG[50:], last)
        assert (reply.code, reply.headers["x-goog-upload-status"]) == (200, "final")
    file = reply.json["file"]
    assert (file["state"], file["mimeType"], file["sizeBytes"]) == ("ACTIVE", "image/png", str(len(PNG)))
    assert client.get(f"/v1beta/{file['name']}").json == file
    assert file in client.get("/v1beta/files").json["files"]
    for uri in (file["uri"], file["name"]):
        body = said({"file_data": {"file_uri": uri, "mime_type": "image/png"}}, "What?")
        seen = generate(client, body).json["usageMetadata"]
        assert seen == generate(client, said(inline("image/png", PNG), "What?")).json["usageMetadata"] | {
            k: v for k, v in seen.items() if k == "cachedContentTokenCount"
        }
    assert client.send("DELETE", f"/v1beta/{file['name']}").code == 200
    assert client.get(f"/v1beta/{file['name']}").code == generate(client, body).code == 404


def test_uploads_that_cannot_be(client) -> None:
    start = {"X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start"}
    for body, headers, told in (
        ({}, {}, "X-Goog-Upload-Protocol must be resumable"),
        ({}, start | {"X-Goog-Upload-Header-Content-Length": "0"}, "1 to"),
        ({}, start | {"X-Goog-Upload-Header-Content-Length": "x"}, "whole number"),
        ({"file": {"name": "files/../x"}}, start, "names no file"),
        ({"file": {"mimeType": "a"}}, start, "MIME type"),
    ):
        reply = client.send("POST", "/upload/v1/files", body, headers)
        assert reply.code == 400 and told in reply.json["error"]["message"]
    for id in ("x", "..%2f..", "a" * 32, "%00"):
        assert client.post(f"/upload/v1/files?upload_id={id}", b"x", X_Goog_Upload_Command="upload").code == 404
