import type { ComponentChildren } from 'preact';
import { useLayoutEffect } from 'preact/hooks';
import { assertNever } from '../../../src/base/errors.js';
import { Icon } from '../../ui/icons.js';
import { useModal } from '../../ui/modal.js';
import { text } from '../../ui/texts.js';
import { BackStep } from '../backStep.js';
import { type DialogView, useChatPage } from '../chatContext.js';
import type { DialogProps } from '../DialogLayer.js';
import { AddMembersView } from '../groups/AddMembersView.js';
import { GroupSettingsView } from '../groups/GroupSettingsView.js';
import { GroupView } from '../groups/GroupView.js';
import { NewGroupView } from '../groups/NewGroupView.js';
import { moveFocus } from '../Menu.js';
import { AccountView } from './AccountView.js';
import { BlockedView } from './BlockedView.js';
import { FriendsView } from './FriendsView.js';
import { MyProfileView } from './MyProfileView.js';
import { PrivacyView } from './PrivacyView.js';
import { ProfileView } from './ProfileView.js';
import { ChangePasswordView, DeleteAccountView } from './passwordViews.js';
import { QuestionView } from './QuestionView.js';
import { ReportView } from './ReportView.js';
import './people.css';

/** The dialog of the page, with the view that was opened last. */
export function ChatDialog({ views }: DialogProps) {
  const { dialogs } = useChatPage();
  const { dialog, close, attributes } = useModal(dialogs.close, dialogs.back);
  const view = views.at(-1);
  // The press that opened a view has removed itself with the view before.
  useLayoutEffect(() => {
    const { current } = dialog;
    const wanted = current?.querySelector<HTMLElement>('[data-focus]') ?? current?.querySelector('h2');
    wanted?.focus();
  }, [view]);
  return (
    <dialog
      {...attributes}
      class={`dialog sheet ${view?.name === 'question' ? 'small' : ''}`}
      aria-labelledby="dialog-title"
      onCancel={(event) => {
        if (views.length < 2) return;
        event.preventDefault();
        dialogs.back();
      }}
      onClick={(event) => {
        // A press beside the dialog is one of its backdrop.
        if (event.target === dialog.current) close();
      }}
      onKeyDown={(event) => {
        moveFocus(event, 'input[type="search"], [data-row]');
        attributes.onKeyDown(event);
      }}
    >
      {views.map((_, i) => (
        <BackStep key={i} onBack={dialogs.back} />
      ))}
      {view && <View key={views.length} view={view} isFirst={views.length === 1} />}
    </dialog>
  );
}

interface ViewProps {
  readonly view: DialogView;
  readonly isFirst: boolean;
}

function View({ view, isFirst }: ViewProps) {
  return (
    <Frame title={titleOf(view)} isFirst={isFirst}>
      {contentOf(view)}
    </Frame>
  );
}

function titleOf(view: DialogView): string {
  switch (view.name) {
    case 'question':
      return view.question.title;
    case 'report':
      return text(view.quote === undefined ? 'report.title' : 'report.messageTitle', { who: view.who });
    case 'profile':
      return text('chat.profile');
    case 'group':
      return text('chat.details');
    default:
      return text(TITLES[view.name]);
  }
}

const TITLES = {
  account: 'account.title',
  changePassword: 'account.changePassword',
  deleteAccount: 'account.delete',
  myProfile: 'profile.mine',
  friends: 'bar.friends',
  blocked: 'blocked.title',
  privacy: 'privacy.title',
  newGroup: 'bar.newGroup',
  groupSettings: 'group.settings',
  addMembers: 'group.addMembers',
} as const;

function contentOf(view: DialogView) {
  switch (view.name) {
    case 'account':
      return <AccountView />;
    case 'changePassword':
      return <ChangePasswordView />;
    case 'deleteAccount':
      return <DeleteAccountView />;
    case 'myProfile':
      return <MyProfileView />;
    case 'profile':
      return <ProfileView user={view.user} />;
    case 'friends':
      return <FriendsView />;
    case 'blocked':
      return <BlockedView />;
    case 'privacy':
      return <PrivacyView />;
    case 'report':
      return <ReportView about={view.about} quote={view.quote} />;
    case 'newGroup':
      return <NewGroupView />;
    case 'group':
      return <GroupView roomId={view.roomId} />;
    case 'groupSettings':
      return <GroupSettingsView roomId={view.roomId} />;
    case 'addMembers':
      return <AddMembersView roomId={view.roomId} />;
    case 'question':
      return <QuestionView question={view.question} />;
    default:
      return assertNever(view);
  }
}

interface FrameProps {
  readonly title: string;
  readonly isFirst: boolean;
  readonly children: ComponentChildren;
}

/** The title of a view with what leads back or out, over the view. */
function Frame({ title, isFirst, children }: FrameProps) {
  const { dialogs } = useChatPage();
  return (
    <div class="sheet-frame">
      <header class="sheet-head">
        {!isFirst && (
          <button
            class="button plain icon"
            type="button"
            aria-label={text('dialog.back')}
            onClick={dialogs.back}
          >
            <Icon name="back" />
          </button>
        )}
        <h2 id="dialog-title" tabIndex={-1}>
          <bdi>{title}</bdi>
        </h2>
        <button
          class="button plain icon"
          type="button"
          aria-label={text('dialog.close')}
          onClick={dialogs.close}
        >
          <Icon name="close" />
        </button>
      </header>
      <div class="sheet-body">{children}</div>
    </div>
  );
}
