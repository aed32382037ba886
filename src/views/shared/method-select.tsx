import { Button, type Key, ListBox, ListBoxItem, Popover, Select, SelectValue, Text } from 'react-aria-components';
import { type MethodId, methods } from '../../contract/methods';
import type { Offer } from '../../state/method-offers';
import './method-select.css';

/** A list of methods with descriptions; an unavailable method shows the reason instead. */
export function MethodSelect(props: {
  readonly label: string;
  readonly method: MethodId;
  readonly offers: readonly Offer[];
  /** Methods to choose from; all by default. */
  readonly among?: readonly MethodId[];
  onChange(method: MethodId): void;
}) {
  const { label, method, offers, among, onChange } = props;
  const shown = offers.filter((offer) => among?.includes(offer.method) ?? true);
  const choose = (key: Key | null) => {
    const chosen = shown.find((offer) => offer.method === key);
    if (chosen) onChange(chosen.method);
  };
  return (
    <Select className="method-select" aria-label={label} selectedKey={method} onSelectionChange={choose}>
      <Button className="method-button">
        <SelectValue className="method-value">{methods[method].name}</SelectValue>
        <svg viewBox="0 0 10 6" aria-hidden="true">
          <path d="M1 1l4 4 4-4" />
        </svg>
      </Button>
      <Popover className="method-popover">
        <ListBox className="method-list" items={shown.map((offer) => ({ ...offer, id: offer.method }))}>
          {({ method: id, refusal }) => (
            <ListBoxItem
              id={id}
              className="method-item"
              textValue={methods[id].name}
              isDisabled={refusal !== undefined && id !== method}
            >
              <Text slot="label" className="method-name">
                {methods[id].name}
              </Text>
              <Text slot="description" className="method-description">
                {refusal === undefined ? methods[id].description : `Not available: ${refusal}`}
              </Text>
            </ListBoxItem>
          )}
        </ListBox>
      </Popover>
    </Select>
  );
}
