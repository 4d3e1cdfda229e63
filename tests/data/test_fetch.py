"""`cria data get` without a network: packages made here in the form of the real ones, a file, a server on loopback.

Catches: a text that lost or gained a line on the way out of an R database or a SWORD module; a damaged package, another
digest or an address that fails taken for a corpus; a folder that is half there.
"""
import functools
import gzip
import hashlib
import http.server
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest
import zlib

sys.dont_write_bytecode = True
CRIA = os.path.abspath(os.environ.get("CRIA", "./cria"))

DATA = "usr/lib/R/site-library/janeaustenr/data/Rdata"
NOVELS = {"emma": ["EMMA", "", "By Jane Austen", "a line with é"], "persuasion": [None, "x" * 70000, ""]}


def r_string(text):
    if text is None:
        return struct.pack(">Ii", 9, -1)
    raw = text.encode()
    return struct.pack(">II", 0x40009, len(raw)) + raw


def r_header(version):
    encoding = struct.pack(">I", 5) + b"UTF-8" if version == 3 else b""
    return b"X\n" + struct.pack(">III", version, 0x040201, 0x020300) + encoding


def r_database(novels, version):
    """NAME.rdx and NAME.rdb, as R's makeLazyLoadDB() writes them."""
    data, places = b"", []
    for lines in novels.values():
        value = r_header(version) + struct.pack(">II", 16, len(lines)) + b"".join(map(r_string, lines))
        chunk = struct.pack(">I", len(value)) + zlib.compress(value)
        places.append((len(data), len(chunk)))
        data += chunk
    index = r_header(version) + struct.pack(">II", 0x213, 3) + struct.pack(">II", 0x213, len(novels))
    for place in places:
        index += struct.pack(">IIII", 13, 2, *place)
    index += struct.pack(">II", 0x402, 1) + r_string("names") + struct.pack(">II", 16, len(novels))
    index += b"".join(map(r_string, novels)) + struct.pack(">I", 254)
    index += struct.pack(">II", 0x13, 0)  # references: none; the rest is not looked at
    return gzip.compress(index), data


def sword(verses, blocks_of, long_records):
    """The three files of a testament."""
    blocks, records, text = b"", b"", b""
    for i in range(0, len(verses), blocks_of):
        block = b""
        for verse in verses[i:i + blocks_of]:
            raw = verse.encode()
            records += struct.pack("<III" if long_records else "<IIH", i // blocks_of, len(block), len(raw))
            block += raw
        packed = zlib.compress(block)
        blocks += struct.pack("<III", len(text), len(packed), len(block))
        text += packed
    return blocks, records, text


def deb(files, compression="xz"):
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode=f"w:{compression}") as t:
        for name, data in files.items():
            info = tarfile.TarInfo("./" + name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    out = b"!<arch>\n"
    members = (("debian-binary", b"2.0\n"), ("control.tar.xz", b""), (f"data.tar.{compression}", tar.getvalue()))
    for name, data in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return out


def austen_deb(version=3, **changes):
    index, data = r_database(NOVELS, version)
    files = {f"{DATA}.rdx": index, f"{DATA}.rdb": data, "usr/share/doc/r-cran-janeaustenr/copyright": b"public\n"}
    files.update(changes.get("files", {}))
    return deb(files, changes.get("compression", "xz"))


class FetchTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="cria-fetch-")

    def tearDown(self):
        shutil.rmtree(self.folder)

    def put(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def get(self, source, *arguments, fails=False):
        done = subprocess.run([CRIA, "data", "get", source, "-o", "out", "--json", *arguments], capture_output=True,
                              text=True, cwd=self.folder, timeout=60, env=dict(os.environ, no_proxy="127.0.0.1"))
        self.assertEqual(done.returncode != 0, fails, done.stderr)
        self.assertFalse([f for f in os.listdir(self.folder) if "fetching" in f])
        if fails:
            self.assertFalse(os.path.exists(os.path.join(self.folder, "out")))
            return done.stderr
        found = {}
        for f in json.loads(done.stdout)["files"]:
            with open(os.path.join(self.folder, "out", f["name"]), "rb") as file:
                found[f["name"]] = file.read()
            self.assertEqual(f["sha256"], hashlib.sha256(found[f["name"]]).hexdigest())
        shutil.rmtree(os.path.join(self.folder, "out"))
        return found

    def test_novels_come_out_line_by_line(self):
        for version, compression in ((2, "xz"), (3, "gz")):
            self.put("r-cran-janeaustenr_1_all.deb", austen_deb(version, compression=compression))
            found = self.get("package:r-cran-janeaustenr_1_all.deb")
            expected = {f"{n}.txt": "".join((line or "") + "\n" for line in lines).encode()
                        for n, lines in NOVELS.items()}
            self.assertEqual(found, {**expected, "copyright": b"public\n"})

    def test_damaged_packages_are_refused(self):
        index, data = r_database(NOVELS, 3)
        plain = gzip.decompress(index)
        broken = [
            {f"{DATA}.rdb": data[:100]},
            {f"{DATA}.rdb": data[:60] + bytes([data[60] ^ 1]) + data[61:]},
            {f"{DATA}.rdx": index[:40]},
            {f"{DATA}.rdx": gzip.compress(plain.replace(b"emma", b"/tmp"))},
            {f"{DATA}.rdx": gzip.compress(plain.replace(b"names", b"namen"))},
            {f"{DATA}.rdx": gzip.compress(plain[:-80])},
        ]
        for files in broken:
            self.put("r-cran-janeaustenr_1_all.deb", austen_deb(files=files))
            self.assertIn("r-cran-janeaustenr", self.get("package:r-cran-janeaustenr_1_all.deb", fails=True))
        whole = austen_deb()
        for n in (0, 7, 100, len(whole) // 2):
            self.put("r-cran-janeaustenr_1_all.deb", whole[:n])
            self.get("package:r-cran-janeaustenr_1_all.deb", fails=True)
        self.put("r-cran-janeaustenr_1_all.deb", whole)
        said = self.get("package:r-cran-janeaustenr_1_all.deb", "--sha256", "0" * 64, fails=True)
        self.assertIn(hashlib.sha256(whole).hexdigest(), said)
        self.get("package:r-cran-janeaustenr_1_all.deb", "--sha256", hashlib.sha256(whole).hexdigest())

    def test_verses_lose_their_markup(self):
        old = ['<chapter n="1"/>',
               "<w lemma='a'>In</w> the <w>beginning</w><note n='1'>a <hi>note</hi></note>, &amp; so",
               "", "<title>A song</title><l>one  line</l><l>another</l>", "&lt;end&gt;<note/> no note<p/>new"]
        new = ["last & &unknown; verse"]
        for name, package, place, letter, long_records in (
                ("world-english-bible", "sword-text-web", "texts/ztext/engWEB2015eb", "b", False),
                ("treasury-of-david", "sword-comm-tdavid", "comments/zcom/tdavid", "c", True)):
            files = {f"usr/share/doc/{package}/copyright": b"free\n"}
            for testament, verses in (("o", old), ("n", new)):
                for kind, data in zip("svz", sword(verses, 2, long_records)):
                    files[f"usr/share/sword/modules/{place}/{testament}t.{letter}z{kind}"] = data
            self.put(f"{package}_1_all.deb", deb(files))
            text = "In the beginning, & so\nA song\none line\nanother\n<end> no note\nnew\nlast & &unknown; verse\n"
            self.assertEqual(self.get(f"package:{package}_1_all.deb"), {f"{name}.txt": text.encode(),
                                                                        "copyright": b"free\n"})

    def test_files_and_addresses(self):
        self.put("text.txt", b"some text\n")
        served = os.path.join(self.folder, "served")
        os.makedirs(served)
        shutil.copy(os.path.join(self.folder, "text.txt"), os.path.join(served, "a text.txt"))
        digest = hashlib.sha256(b"some text\n").hexdigest()
        self.assertEqual(self.get("file:text.txt"), {"text.txt": b"some text\n"})
        self.assertIn("expected 00", self.get("file:text.txt", "--sha256", "0" * 64, fails=True))

        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                if self.path == "/elsewhere":
                    self.send_response(302)
                    self.send_header("Location", "/a%20text.txt?x=1")
                    self.end_headers()
                elif self.path == "/local":
                    self.send_response(302)
                    self.send_header("Location", "file:///etc/hostname")
                    self.end_headers()
                elif self.path == "/short":
                    self.send_response(200)
                    self.send_header("Content-Length", "100")
                    self.end_headers()
                    self.wfile.write(b"too little")
                else:
                    super().do_GET()

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=served))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        try:
            self.assertEqual(self.get(f"{base}/a%20text.txt", "--sha256", digest), {"a_20text.txt": b"some text\n"})
            self.assertEqual(self.get(f"{base}/elsewhere"), {"elsewhere": b"some text\n"})
            self.assertIn("404", self.get(f"{base}/none.txt", fails=True))
            self.assertIn("expected 00", self.get(f"{base}/a%20text.txt", "--sha256", "0" * 64, fails=True))
            self.get(f"{base}/local", fails=True)
            self.get(f"{base}/short", fails=True)
        finally:
            server.shutdown()
            server.server_close()
        self.get(f"{base}/a.txt", fails=True)
        self.assertIn("austen", self.get("asten", fails=True))


if __name__ == "__main__":
    unittest.main()
