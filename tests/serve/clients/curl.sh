#!/usr/bin/env bash
# The examples of the Gemini interface's documentation that use curl, against the server whose address is given.
#
#     bash curl.sh http://127.0.0.1:8080 MEDIA_DIRECTORY
set -euo pipefail
base=$1 media=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '  %s\n' "$1"; }
need() { grep -q "$1" "$2" || { echo "no $1 in $(cat "$2")" >&2; exit 1; }; }

curl -sS -f "$base/v1beta/models/gemini-2.5-flash:generateContent?key=any" -H 'Content-Type: application/json' -X POST \
  -d '{"contents": [{"parts": [{"text": "Write a story about a magic backpack."}]}]}' > "$work/a"
need '"finishReason"' "$work/a"
say text

curl -sS -f "$base/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse&key=any" -N \
  -H 'Content-Type: application/json' -d '{"contents": [{"parts": [{"text": "Tell."}]}]}' > "$work/a"
need '^data: {' "$work/a"
say stream

# The picture goes into the body by a file: a command line is too short for it.
printf '{"contents": [{"parts": [{"text": "Tell me about this"}, {"inline_data": {"mime_type": "image/png", "data": "' > "$work/body"
base64 < "$media/cat.png" | tr -d '\n' >> "$work/body"
printf '"}}]}]}' >> "$work/body"
curl -sS -f "$base/v1beta/models/gemini-2.5-flash:generateContent" -H 'x-goog-api-key: any' \
  -H 'Content-Type: application/json' -d "@$work/body" > "$work/a"
need '"modality":"IMAGE"' "$work/a"
say vision

size=$(wc -c < "$media/clip.mp4")
curl -sS -f "$base/upload/v1beta/files" -H 'x-goog-api-key: any' -D "$work/head" -o /dev/null \
  -H 'X-Goog-Upload-Protocol: resumable' -H 'X-Goog-Upload-Command: start' \
  -H "X-Goog-Upload-Header-Content-Length: $size" -H 'X-Goog-Upload-Header-Content-Type: video/mp4' \
  -H 'Content-Type: application/json' -d '{"file": {"display_name": "a clip"}}'
address=$(grep -i '^x-goog-upload-url: ' "$work/head" | cut -d' ' -f2 | tr -d '\r')
curl -sS -f "$address" -H "Content-Length: $size" -H 'X-Goog-Upload-Offset: 0' \
  -H 'X-Goog-Upload-Command: upload, finalize' --data-binary "@$media/clip.mp4" > "$work/file"
uri=$(sed -n 's/.*"uri":"\([^"]*\)".*/\1/p' "$work/file")
curl -sS -f "$base/v1beta/models/gemini-2.5-flash:generateContent" -H 'Content-Type: application/json' \
  -d '{"contents": [{"parts": [{"text": "What?"}, {"file_data": {"mime_type": "video/mp4", "file_uri": "'"$uri"'"}}]}]}' > "$work/a"
need '"modality":"VIDEO"' "$work/a"
say files

curl -sS -f "$base/v1/audio/transcriptions" -H 'Authorization: Bearer any' -F "file=@$media/word.wav" -F model=whisper-1 > "$work/a"
need '"text"' "$work/a"
say transcription
echo "all examples ran"
