"""Table versions made anew, compared, switched and retired, while readers and writers go on (CD-13, DESIGN section 8).

    order -> plan -> note ends, lay slices -> (scan the store) -> catch up -> ready -> compare -> switch | retire

| module | owns |
|---|---|
| `conductor`, `measuring` | move every open rebuild on by one step; how far it is |
| `scan`, `slices` | the store's slices: lease, read, decrypt, project, write |
| `topics` | what the broker knows: bounds, completeness, records behind an offset |
| `shapes`, `comparing` | which columns of two versions must be equal, and the SQL that says whether they are |
| `verdicts` | what a pair of rows means |
| `parity`, `whole` | the comparison of two versions, and of one version with the store |
| `orders` | carries out what was ordered about finished versions |

There is no sender in here, and none may be imported: a rebuild has no external effect.
"""
