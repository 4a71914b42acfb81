package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	// maxLeaves is the most leaves of one commit.
	maxLeaves = 256
	// maxLine is more than a line of commits has: 64 hashes of a frontier and the other fields.
	maxLine = 64 * 1024
	// frontierEvery is the distance of positions at which a commit has a frontier.
	frontierEvery = 64
)

// checkBundle verifies an exported bundle by docs/log-format.md alone.
func checkBundle(dir string, keys map[string][]note.Verifier, names []string) error {
	partitions := 0
	for {
		if _, err := os.Stat(filepath.Join(dir, strconv.Itoa(partitions))); err != nil {
			break
		}
		partitions++
	}
	if partitions == 0 || partitions != len(names) {
		return fmt.Errorf("the bundle has %d partitions, but there are keys of %d", partitions, len(names))
	}
	for partition := range partitions {
		bundle := &bundle{dir: filepath.Join(dir, strconv.Itoa(partition)), partition: partition, partitions: partitions}
		bundle.versions = map[string]int64{}
		bundle.seqs = map[string]int64{}
		if err := bundle.check(keys); err != nil {
			return fmt.Errorf("partition %d: %w", partition, err)
		}
		fmt.Printf("%s %d\n", bundle.name, bundle.size)
	}
	return nil
}

// bundle is one partition of a bundle, as far as it is checked.
type bundle struct {
	dir        string
	name       string
	partition  int
	partitions int

	position int64
	epoch    int64
	time     string
	hash     string
	size     int64
	// tiles holds the hashes of the last tile of each level.
	tiles    [][]tlog.Hash
	frontier []subtree
	entries  []byte
	versions map[string]int64
	seqs     map[string]int64
}

// subtree is a perfect subtree of the Merkle tree.
type subtree struct {
	height int
	hash   tlog.Hash
}

// commit is a line of the file of commits.
type commit struct {
	Position    int64    `json:"position"`
	ID          string   `json:"id"`
	Epoch       int64    `json:"epoch"`
	RecordedAt  string   `json:"recordedAt"`
	FirstOffset int64    `json:"firstOffset"`
	Size        int64    `json:"size"`
	Root        string   `json:"root"`
	Frontier    []string `json:"frontier"`
	Hash        string   `json:"hash"`
}

func (b *bundle) check(keys map[string][]note.Verifier) error {
	size, root, position, hash, err := b.readHead(keys)
	if err != nil {
		return err
	}
	empty := sha256.Sum256(nil)
	b.hash = base64.StdEncoding.EncodeToString(empty[:])
	file, err := os.Open(filepath.Join(b.dir, "commits"))
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if err := b.checkCommit(lines.Bytes(), size); err != nil {
			return fmt.Errorf("commit %d: %w", b.position+1, err)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if b.size != size || b.root() != root || b.position != position || b.hash != hash {
		return errors.New("the commits do not end at the signed head")
	}
	return b.checkPartialTiles()
}

// readHead verifies the signature, and returns the four values of the head.
func (b *bundle) readHead(keys map[string][]note.Verifier) (size int64, root string, position int64, hash string, err error) {
	text, err := os.ReadFile(filepath.Join(b.dir, "checkpoint"))
	if err != nil {
		return
	}
	b.name = strings.SplitN(string(text), "\n", 2)[0]
	if !strings.HasSuffix(b.name, "/"+strconv.Itoa(b.partition)) {
		err = fmt.Errorf("the checkpoint is of %s", b.name)
		return
	}
	opened, err := note.Open(text, note.VerifierList(keys[b.name]...))
	if err != nil {
		return
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 5 || lines[4] != "" {
		err = errors.New("the checkpoint has not four lines")
		return
	}
	root = lines[2]
	if size, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return
	}
	fields := strings.Split(lines[3], " ")
	if len(fields) != 3 || fields[0] != "commit" {
		err = errors.New("the checkpoint names no commit")
		return
	}
	hash = fields[2]
	position, err = strconv.ParseInt(fields[1], 10, 64)
	return
}

func (b *bundle) checkCommit(line []byte, end int64) error {
	var c commit
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		return err
	}
	count := c.Size - c.FirstOffset
	switch {
	case c.Position != b.position+1:
		return errors.New("the position does not follow")
	case c.Epoch < b.epoch:
		return errors.New("the epoch decreases")
	case c.RecordedAt < b.time:
		return errors.New("the time decreases")
	case c.FirstOffset != b.size || count < 0 || count > maxLeaves || c.Size > end:
		return errors.New("the offsets do not follow")
	}
	text := [][]byte{nil}
	for range count {
		leaf, err := b.nextLeaf(end)
		if err != nil {
			return err
		}
		if err := b.checkLeaf(leaf, c.RecordedAt); err != nil {
			return fmt.Errorf("event %d: %w", b.size, err)
		}
		if err := b.addLeaf(leaf); err != nil {
			return err
		}
		text = append(text, leaf)
	}
	if c.Root != b.root() {
		return errors.New("the root is another one")
	}
	if err := b.checkFrontier(c.Frontier, count == 0 || c.Position%frontierEvery == 0); err != nil {
		return err
	}
	first, err := b.firstLine(c)
	if err != nil {
		return err
	}
	text[0] = first
	hash := sha256.Sum256(bytes.Join(text, []byte("\n")))
	b.hash = base64.StdEncoding.EncodeToString(hash[:])
	if c.Hash != b.hash {
		return errors.New("the hash is another one")
	}
	b.position, b.epoch, b.time = c.Position, c.Epoch, c.RecordedAt
	return nil
}

func (b *bundle) firstLine(c commit) ([]byte, error) {
	var frontier any
	if c.Frontier != nil {
		frontier = c.Frontier
	}
	fields := []any{"parley/commit/1", b.partition, c.Position, c.ID, c.Epoch, c.RecordedAt, c.FirstOffset, c.Size, c.Root, frontier, b.hash}
	return json.Marshal(fields)
}

func (b *bundle) checkFrontier(frontier []string, isWanted bool) error {
	if (frontier != nil) != isWanted {
		return errors.New("a frontier is missing, or should not be there")
	}
	if !isWanted {
		return nil
	}
	if len(frontier) != len(b.frontier) {
		return errors.New("the frontier is another one")
	}
	for i, tree := range b.frontier {
		if frontier[i] != tree.hash.String() {
			return errors.New("the frontier is another one")
		}
	}
	return nil
}

// nextLeaf reads the files of entries one after the other.
func (b *bundle) nextLeaf(end int64) ([]byte, error) {
	if b.size%(1<<tileHeight) == 0 {
		if len(b.entries) > 0 {
			return nil, errors.New("a file has too many entries")
		}
		width := min(end-b.size, 1<<tileHeight)
		path := tlog.Tile{H: tileHeight, L: 0, N: b.size >> tileHeight, W: int(width)}.Path()
		var err error
		b.entries, err = os.ReadFile(filepath.Join(b.dir, "tile", "entries", strings.TrimPrefix(path, "tile/8/0/")))
		if err != nil {
			return nil, err
		}
	}
	if len(b.entries) < 2 || len(b.entries) < 2+int(binary.BigEndian.Uint16(b.entries)) {
		return nil, errors.New("a file of entries ends early")
	}
	length := 2 + int(binary.BigEndian.Uint16(b.entries))
	leaf := b.entries[2:length]
	b.entries = b.entries[length:]
	return leaf, nil
}

// checkLeaf checks the time, the partition, the version and the sequence number of an event.
func (b *bundle) checkLeaf(leaf []byte, recordedAt string) error {
	var stream, kind, time string
	var version int64
	var data struct{ Seq int64 }
	var values []json.RawMessage
	if err := json.Unmarshal(leaf, &values); err != nil {
		return err
	}
	if len(values) != 7 {
		return errors.New("it has not seven values")
	}
	for i, into := range map[int]any{0: &stream, 1: &version, 2: &kind, 3: &data, 5: &time} {
		if err := json.Unmarshal(values[i], into); err != nil {
			return err
		}
	}
	name := sha256.Sum256([]byte(stream))
	b.versions[stream]++
	switch {
	case time != recordedAt:
		return errors.New("its time is not that of its commit")
	case int(binary.BigEndian.Uint32(name[:])%uint32(b.partitions)) != b.partition:
		return errors.New("its stream belongs to another partition")
	case version != b.versions[stream]:
		return errors.New("its version does not follow")
	}
	if kind != "MessageSent" {
		return nil
	}
	b.seqs[stream]++
	if data.Seq != b.seqs[stream] {
		return errors.New("its seq does not follow")
	}
	return nil
}

// addLeaf grows the tree, and compares each tile that becomes full.
func (b *bundle) addLeaf(leaf []byte) error {
	hash := tlog.RecordHash(leaf)
	b.size++
	grown := subtree{0, hash}
	for len(b.frontier) > 0 && b.frontier[len(b.frontier)-1].height == grown.height {
		last := b.frontier[len(b.frontier)-1]
		b.frontier = b.frontier[:len(b.frontier)-1]
		grown = subtree{grown.height + 1, tlog.NodeHash(last.hash, grown.hash)}
	}
	b.frontier = append(b.frontier, grown)
	for level := 0; ; level++ {
		if level == len(b.tiles) {
			b.tiles = append(b.tiles, nil)
		}
		b.tiles[level] = append(b.tiles[level], hash)
		if len(b.tiles[level]) < 1<<tileHeight {
			return nil
		}
		if err := b.checkTile(level); err != nil {
			return err
		}
		hash = perfectRoot(b.tiles[level])
		b.tiles[level] = nil
	}
}

func perfectRoot(hashes []tlog.Hash) tlog.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return tlog.NodeHash(perfectRoot(hashes[:half]), perfectRoot(hashes[half:]))
}

func (b *bundle) root() string {
	if len(b.frontier) == 0 {
		empty := sha256.Sum256(nil)
		return tlog.Hash(empty).String()
	}
	hash := b.frontier[len(b.frontier)-1].hash
	for i := len(b.frontier) - 2; i >= 0; i-- {
		hash = tlog.NodeHash(b.frontier[i].hash, hash)
	}
	return hash.String()
}

// checkTile compares the last tile of a level with its file.
func (b *bundle) checkTile(level int) error {
	hashes := b.tiles[level]
	covered := int64(1) << (tileHeight * level)
	number := (b.size/covered - 1) >> tileHeight
	path := tlog.Tile{H: tileHeight, L: level, N: number, W: len(hashes)}.Path()
	found, err := os.ReadFile(filepath.Join(b.dir, "tile", strings.TrimPrefix(path, "tile/8/")))
	if err != nil {
		return err
	}
	var expected []byte
	for _, hash := range hashes {
		expected = append(expected, hash[:]...)
	}
	if !bytes.Equal(found, expected) {
		return fmt.Errorf("tile %d of level %d is another one", number, level)
	}
	return nil
}

func (b *bundle) checkPartialTiles() error {
	for level, hashes := range b.tiles {
		if len(hashes) == 0 {
			continue
		}
		if err := b.checkTile(level); err != nil {
			return err
		}
	}
	return nil
}
