// Any report document: sections of facts, tables, lists and text, as the server's renderers write them.

import type { Block, Column, Document, Section, TableBlock } from "../types";

export function DocumentView({ document, open, without = [] }: { document: Document; open: string[]; without?: string[] }) {
  return (
    <>
      {document.sections
        .filter((s) => !without.includes(s.key))
        .map((section) => (
          <SectionView key={section.key} section={section} open={open.includes(section.key)} />
        ))}
    </>
  );
}

function SectionView({ section, open }: { section: Section; open: boolean }) {
  return (
    <details class="section" open={open}>
      <summary>
        <h3>{section.title}</h3>
      </summary>
      {section.blocks.map((block, i) => (
        <BlockView key={i} block={block} />
      ))}
    </details>
  );
}

export function BlockView({ block }: { block: Block }) {
  switch (block.kind) {
    case "facts":
      return (
        <dl class="facts">
          {block.facts.map((fact) => (
            <div key={fact.name}>
              <dt>{fact.name}</dt>
              <dd>
                {fact.text} {fact.note && <small>{fact.note}</small>}
              </dd>
            </div>
          ))}
        </dl>
      );
    case "table":
      return <TableView table={block} />;
    case "paragraph":
      return <p class={block.warning ? "warning" : ""}>{block.text}</p>;
    case "items": {
      const items = block.items.map((text, i) => <li key={i}>{text}</li>);
      return block.ordered ? <ol>{items}</ol> : <ul>{items}</ul>;
    }
    case "figure":
      return null; // the page draws its own charts, from numbers
  }
}

const LONG = 28;
const CARD_COLUMNS = 4; // a table this wide, or with long texts, is a card a row on a phone
const CARD_ROWS = 16; // where it has no more rows than this

function TableView({ table }: { table: TableBlock }) {
  return (
    <figure class="table">
      <figcaption>{table.title}</figcaption>
      <div class="scroll" tabIndex={0} role="region" aria-label={table.title}>
        <table role="table" class={asCards(table) ? "cards" : ""}>
          <thead role="rowgroup">
            <tr role="row">
              {table.columns.map((c) => (
                <th key={c.key} role="columnheader" scope="col" class={aligned(c)}>
                  {c.title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody role="rowgroup">
            {table.rows.map((row, i) => (
              <tr key={i} role="row">
                {row.map((cell, j) => {
                  const column = table.columns[j];
                  const long = cell.text.length > LONG ? " long" : "";
                  return (
                    <td key={j} role="cell" class={(column ? aligned(column) : "") + long} data-title={column?.title}>
                      <Text text={cell.text} />
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {table.note && <p class="quiet">{table.note}</p>}
    </figure>
  );
}

function asCards({ columns, rows }: TableBlock): boolean {
  const wordy = columns.length > 2 && rows.some((row) => row.some((cell) => cell.text.length > LONG));
  return (columns.length >= CARD_COLUMNS || wordy) && rows.length <= CARD_ROWS;
}

function Text({ text }: { text: string }) {
  if (!/^https?:\/\/\S+$/.test(text)) return <>{text}</>;
  return (
    <a href={text} rel="noreferrer noopener" target="_blank">
      {text.replace(/^https?:\/\//, "").slice(0, 60)}
    </a>
  );
}

function aligned(column: Column): string {
  return column.quantity === "text" ? "" : "number";
}
