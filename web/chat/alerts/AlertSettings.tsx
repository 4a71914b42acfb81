import { useState } from 'preact/hooks';
import { text } from '../../ui/texts.js';
import { notificationPermission, requestNotifications } from './notifications.js';
import { isSoundOn, setSound } from './sound.js';

/** What the browser tells of new messages: notifications, which the browser asks about, and a sound. */
export function AlertSettings() {
  const [permission, setPermission] = useState(notificationPermission);
  const [isOn, setOn] = useState(isSoundOn);
  return (
    <>
      {permission === 'default' && (
        <button class="button" type="button" onClick={() => void requestNotifications().then(setPermission)}>
          {text('alerts.turnOn')}
        </button>
      )}
      <p class="hint" role="status">
        {permission === 'granted' && text('alerts.on')}
        {permission === 'denied' && text('alerts.denied')}
      </p>
      <label class="check">
        <input
          type="checkbox"
          checked={isOn}
          onChange={({ currentTarget: { checked } }) => {
            setSound(checked);
            setOn(checked);
          }}
        />
        {text('alerts.sound')}
      </label>
    </>
  );
}
