// Verifier checks a server's signed log with nothing of Parley's own: notes, tiles and proofs are those of
// golang.org/x/mod, which the Go module mirror is verified with.
//
// It also checks an exported bundle, by docs/log-format.md alone.
//
// It is given the server's URL and a file of verifier keys, and in TOKEN the session of an auditor. In a directory it
// keeps the checkpoints it has seen, and demands of later ones that they extend them.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// tileHeight is that of C2SP tlog-tiles.
const tileHeight = 8

func main() {
	if len(os.Args) != 4 {
		fail(errors.New("usage: verifier <url> <file of verifier keys> <directory to keep checkpoints in>\n" +
			"or: verifier bundle <file of verifier keys> <directory of the bundle>"))
	}
	keys, err := os.ReadFile(os.Args[2])
	fail(err)
	byName := map[string][]note.Verifier{}
	var names []string
	for _, line := range strings.Fields(string(keys)) {
		verifier, err := note.NewVerifier(line)
		fail(err)
		if byName[verifier.Name()] == nil {
			names = append(names, verifier.Name())
		}
		byName[verifier.Name()] = append(byName[verifier.Name()], verifier)
	}
	if os.Args[1] == "bundle" {
		fail(checkBundle(os.Args[3], byName, names))
		return
	}
	for _, name := range names {
		partition := name[strings.LastIndex(name, "/")+1:]
		log := &signedLog{base: os.Args[1] + "/audit/log/" + partition, name: name, verifiers: note.VerifierList(byName[name]...)}
		events, err := log.check(filepath.Join(os.Args[3], partition))
		if err != nil {
			fail(fmt.Errorf("partition %s: %w", partition, err))
		}
		fmt.Printf("%s %d\n", name, events)
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// signedLog is one partition.
type signedLog struct {
	base      string
	name      string
	verifiers note.Verifiers
}

// check verifies the checkpoint, every tile and entry below it, a proof of every event, and that it extends what was kept.
func (l *signedLog) check(kept string) (int64, error) {
	text, err := l.get("/checkpoint")
	if err != nil {
		return 0, err
	}
	tree, err := l.open(text)
	if err != nil {
		return 0, err
	}
	if err := l.checkExtends(kept, tree); err != nil {
		return 0, err
	}
	if err := l.checkEntries(tree); err != nil {
		return 0, err
	}
	return tree.N, os.WriteFile(kept, text, 0o600)
}

// open is golang.org/x/mod's reading of a checkpoint, whose first line is another there.
func (l *signedLog) open(text []byte) (tlog.Tree, error) {
	opened, err := note.Open(text, l.verifiers)
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.SplitN(opened.Text, "\n", 2)
	if lines[0] != l.name {
		return tlog.Tree{}, fmt.Errorf("the checkpoint is of %s", lines[0])
	}
	return tlog.ParseTree([]byte("go.sum database tree\n" + lines[1]))
}

func (l *signedLog) checkExtends(kept string, tree tlog.Tree) error {
	text, err := os.ReadFile(kept)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	old, err := l.open(text)
	if err != nil || old.N == 0 {
		return err
	}
	var answer struct{ Hashes []tlog.Hash }
	if err := l.getJSON(fmt.Sprintf("/proof?from=%d&size=%d", old.N, tree.N), &answer); err != nil {
		return err
	}
	return tlog.CheckTree(answer.Hashes, tree.N, tree.Hash, old.N, old.Hash)
}

func (l *signedLog) checkEntries(tree tlog.Tree) error {
	hashes := tlog.TileHashReader(tree, l)
	for first := int64(0); first < tree.N; first += 1 << tileHeight {
		width := min(tree.N-first, 1<<tileHeight)
		path := tlog.Tile{H: tileHeight, L: 0, N: first >> tileHeight, W: int(width)}.Path()
		bundle, err := l.get("/tile/entries" + strings.TrimPrefix(path, "tile/8/0"))
		if err != nil {
			return err
		}
		for offset := first; offset < first+width; offset++ {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				return fmt.Errorf("the entries from %d on end at %d", first, offset)
			}
			end := 2 + int(binary.BigEndian.Uint16(bundle))
			if err := l.checkEntry(tree, hashes, offset, bundle[2:end]); err != nil {
				return fmt.Errorf("event %d: %w", offset, err)
			}
			bundle = bundle[end:]
		}
		if len(bundle) > 0 {
			return fmt.Errorf("the entries from %d on are too many", first)
		}
	}
	return nil
}

func (l *signedLog) checkEntry(tree tlog.Tree, hashes tlog.HashReader, offset int64, entry []byte) error {
	leaf := tlog.RecordHash(entry)
	found, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, offset)})
	if err != nil {
		return err
	}
	if found[0] != leaf {
		return errors.New("it is not what the tiles say")
	}
	var proof struct {
		Entry  string
		Hashes []tlog.Hash
	}
	if err := l.getJSON(fmt.Sprintf("/proof?offset=%d&size=%d", offset, tree.N), &proof); err != nil {
		return err
	}
	if proof.Entry != base64.StdEncoding.EncodeToString(entry) {
		return errors.New("its proof is of another entry")
	}
	return tlog.CheckRecord(proof.Hashes, tree.N, tree.Hash, offset, leaf)
}

// Height is of tlog.TileReader.
func (l *signedLog) Height() int { return tileHeight }

// ReadTiles is of tlog.TileReader; what it gives is believed only once it leads to the signed root.
func (l *signedLog) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, tile := range tiles {
		bytes, err := l.get("/tile" + strings.TrimPrefix(tile.Path(), "tile/8"))
		if err != nil {
			return nil, err
		}
		data = append(data, bytes)
	}
	return data, nil
}

// SaveTiles is of tlog.TileReader.
func (l *signedLog) SaveTiles([]tlog.Tile, [][]byte) {}

func (l *signedLog) getJSON(path string, answer any) error {
	body, err := l.get(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, answer)
}

func (l *signedLog) get(path string) ([]byte, error) {
	request, err := http.NewRequest(http.MethodGet, l.base+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("TOKEN"))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, response.Status, body)
	}
	return body, err
}
